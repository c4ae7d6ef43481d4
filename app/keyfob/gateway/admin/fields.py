"""The fields that an operation takes: checked one by one, so that an error names the field. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from keyfob.core.errors import Usage
from keyfob.core.times import from_rfc3339

Kind = Literal["text", "secret", "yes_or_no", "number", "time", "words", "object"]
WORDS_MOST = 100
SCHEMAS: Final[Mapping[Kind, Mapping[str, Any]]] = {
    "text": {"type": "string"},
    "secret": {"type": "string", "format": "password"},
    "yes_or_no": {"type": "boolean"},
    "number": {"type": "integer"},
    "time": {"type": "string", "format": "date-time"},
    "words": {"type": "array", "items": {"type": "string"}, "maxItems": WORDS_MOST},
    "object": {"type": "object"},
}


@dataclass(frozen=True)
class Field:
    """One field. `least` and `most` bound a number, `most` the characters of a text or word."""

    name: str
    meaning: str
    kind: Kind = "text"
    required: bool = False
    least: int = 1
    most: int = 255
    choices: tuple[str, ...] = ()

    def schema(self) -> dict[str, Any]:
        """As JSON Schema has it."""
        found = {**SCHEMAS[self.kind], "description": self.meaning}
        if self.kind in ("text", "secret"):
            found |= {"minLength": 1, "maxLength": self.most}
        if self.kind == "number":
            found |= {"minimum": self.least, "maximum": self.most}
        return found | ({"enum": list(self.choices)} if self.choices else {})


def read(fields: Iterable[Field], given: Mapping[str, object], *, from_query: bool = False) -> dict[str, Any]:
    """The values, by name; None and what is not given are left out. Raises Usage that names a field which is
    unknown, missing or wrong. `from_query`: everything is text.
    """
    known = {field.name: field for field in fields}
    for name in given:
        if name not in known:
            raise Usage(f"Unknown field {name[:60]!r}")
    values = {}
    for name, field in known.items():
        value = given.get(name)
        if value is not None:
            values[name] = _read(field, _of_text(field, str(value)) if from_query else value)
        elif field.required:
            raise Usage(f"The field {name} is missing")
    return values


def _of_text(field: Field, text: str) -> object:
    match field.kind:
        case "yes_or_no":
            return {"true": True, "false": False}.get(text, text)
        case "number":
            return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else text
        case _:
            return text


def _read(field: Field, value: object) -> object:
    match field.kind:
        case "text" | "secret":
            return _text(field, value)
        case "yes_or_no":
            if not isinstance(value, bool):
                raise Usage(f"{field.name} needs true or false")
            return value
        case "number":
            return _number(field, value)
        case "time":
            return _time(field, value)
        case "words":
            if not isinstance(value, list) or len(value) > WORDS_MOST:
                raise Usage(f"{field.name} needs a list of at most {WORDS_MOST} texts")
            return tuple(_text(field, word) for word in value)
        case "object":
            if not isinstance(value, dict):
                raise Usage(f"{field.name} needs an object")
            return value


def _number(field: Field, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise Usage(f"{field.name} needs a whole number")
    if not field.least <= value <= field.most:
        raise Usage(f"{field.name} needs a number from {field.least} to {field.most}")
    return value


def _time(field: Field, value: object) -> datetime | None:
    try:
        return from_rfc3339(_text(field, value))
    except ValueError:
        raise Usage(f"{field.name} needs a time such as 2027-01-31T00:00:00Z") from None


def _text(field: Field, value: object) -> str:
    if not isinstance(value, str):
        raise Usage(f"{field.name} needs text")
    if not 1 <= len(value) <= field.most:
        raise Usage(f"{field.name} needs 1 to {field.most} characters")
    if field.kind != "secret" and not value.isprintable():
        raise Usage(f"{field.name} has characters that it must not have")
    if field.choices and value not in field.choices:
        raise Usage(f"{field.name} needs one of {', '.join(field.choices)}")
    return value
