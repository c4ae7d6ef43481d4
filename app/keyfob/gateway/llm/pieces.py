"""What a streamed answer says: every format's stream is read into these pieces and written from them."""

from __future__ import annotations

from dataclasses import dataclass

from keyfob.gateway.llm.parts import Call, Ending, Part, Reasoning, Refusal, Text, Usage

Key = int | str | tuple[int | str, ...]  # of one part of the answer, in one stream
Opened = Text | Refusal | Reasoning | Call


@dataclass(slots=True)
class Began:
    """The answer has begun."""

    answer_id: str
    model: str
    created: int = 0
    usage: Usage | None = None


@dataclass(slots=True)
class Open:
    """A part begins; it has no text yet."""

    key: Key
    part: Opened


@dataclass(slots=True)
class More:
    """More of a part: of its text, or of its arguments."""

    key: Key
    text: str


@dataclass(slots=True)
class Close:
    """A part is whole. `part` is given if it has something that was not in its pieces, as a proof."""

    key: Key
    part: Part | None = None


@dataclass(slots=True)
class Ended:
    """The answer is whole."""

    ending: Ending
    usage: Usage | None = None
    stop_sequence: str | None = None


@dataclass(slots=True)
class Failed:
    """The answer failed. `kind` is the upstream's type or code."""

    message: str
    kind: str = "api_error"
    code: str | None = None


@dataclass(slots=True)
class Alive:
    """Nothing new; the connection lives."""


Piece = Began | Open | More | Close | Ended | Failed | Alive
