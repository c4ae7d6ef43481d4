"""The formats by name, and the refusal of what has no counterpart."""

from __future__ import annotations

from typing import Any, Final, Literal

Format = Literal["openai_chat", "openai_responses", "anthropic_messages"]
Json = dict[str, Any]

CHAT: Final = "openai_chat"

# As a sentence calls them.
TITLES: Final[dict[Format, str]] = {
    "openai_chat": "Chat Completions",
    "openai_responses": "Responses",
    "anthropic_messages": "Messages",
}


class CannotTranslateError(Exception):
    """A request that the upstream's format cannot express, or that is malformed.

    `field` names the field, with its place (`messages[2].content[0]`). `str()` is a sentence for the caller.
    """

    def __init__(self, field: str, sentence: str) -> None:
        super().__init__(sentence)
        self.field = field


def wrong(field: str, needed: str) -> CannotTranslateError:
    """For a field that is missing or of another kind. `needed` says what it must be."""
    return CannotTranslateError(field, f"{field} must be {needed}.")


def text_of(value: object, field: str) -> str:
    """The value, which must be text."""
    if not isinstance(value, str):
        raise wrong(field, "text")
    return value


def object_of(value: object, field: str) -> Json:
    """The value, which must be an object."""
    if not isinstance(value, dict):
        raise wrong(field, "an object")
    return value


def list_of(value: object, field: str) -> list[Any]:
    """The value, which must be a list; None counts as an empty one."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise wrong(field, "a list")
    return value
