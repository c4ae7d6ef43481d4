"""What the system's and the developer's messages say."""

from __future__ import annotations

from keyfob.gateway.llm.parts import Text, Turn


def leading(turns: list[Turn]) -> tuple[str, list[Turn]]:
    """The instructions at the start, and all turns after them. Responses takes later ones at their place."""
    count = 0
    while count < len(turns) and _instructs(turns[count]):
        count += 1
    return _text(turns[:count]), turns[count:]


def gathered(turns: list[Turn]) -> tuple[str, list[Turn]]:
    """All instructions, and the turns of the others.

    Most of Anthropic's models, and many servers of Chat Completions, take instructions at the start alone.
    """
    others = [turn for turn in turns if not _instructs(turn)]
    return _text([turn for turn in turns if _instructs(turn)]), others


def _instructs(turn: Turn) -> bool:
    return turn.role in ("system", "developer")


def _text(turns: list[Turn]) -> str:
    texts = [part.text for turn in turns for part in turn.parts if isinstance(part, Text)]
    return "\n\n".join(text for text in texts if text)
