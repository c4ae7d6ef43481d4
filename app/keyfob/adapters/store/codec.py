"""Converts the account store's values to JSON and back, by their dataclass fields.

What is encoded decodes to an equal value. Anything that is not exactly such a value raises `UnreadableError`;
nothing is guessed. A missing field gets its default, so that a value may gain fields with a default without a
migration. An unknown field raises `TooNewError`. A `Secret` is never encoded: it raises TypeError.
"""

from __future__ import annotations

import json
import threading
import types
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from keyfob.core.account import (
    Account,
    Connected,
    Disconnected,
    ErrorNote,
    Intent,
    NeedsSignIn,
    PendingRevocation,
    Record,
    Stale,
)
from keyfob.core.error_codes import CODES, Advice, known_code
from keyfob.core.untyped import Json
from keyfob.core.words import StatusWord

T = TypeVar("T")

# The name in "is" says which dataclass of a union it is.
_CASES: dict[StatusWord, type[Any]] = {
    "connected": Connected,
    "stale": Stale,
    "needs_sign_in": NeedsSignIn,
    "disconnected": Disconnected,
}
# Fields that earlier versions wrote and no version reads any more, with the values that they wrote.
_RETIRED: dict[type[Any], dict[str, tuple[object, ...]]] = {
    Record: {"retry_asked": (True, False)},
    Account: {"share": (None,)},
}
_CASE_NAMES = {case: name for name, case in _CASES.items()}


class UnreadableError(ValueError):
    """Stored text is not such a value. The message names the field, never its content."""


class TooNewError(UnreadableError):
    """It has a field, a status or a word that this version does not know: a newer Keyfob wrote it."""


def dumps(value: Record | Intent | PendingRevocation) -> str:
    """One line of JSON. Raises TypeError for a value of a kind that is not stored, a Secret above all."""
    return json.dumps(_out(value), separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def description(record: Record) -> str:
    """As `dumps`, in ASCII: for the vault."""
    return json.dumps(_out(record), separators=(",", ":"), allow_nan=False)


# Records are frozen and mostly read: one that has not changed is not decoded again. Of each account the
# newest text is kept alone: it changes with each renewal, and an agent lives for months.
_KEPT_MOST = 4096  # accounts
_kept: dict[str, Record] = {}  # by text
_newest: dict[str, str] = {}  # the text of each account, by its key
_keeping = threading.Lock()


def load_record(text: str) -> Record:
    """Raises UnreadableError. Thread-safe."""
    record = _kept.get(text)
    if record is None:
        record = _load(Record, text)
        with _keeping:
            _kept.pop(_newest.pop(record.account.key, ""), None)
            if len(_newest) >= _KEPT_MOST:
                _newest.clear()
                _kept.clear()
            _newest[record.account.key] = text
            _kept[text] = record
    return record


def load_intent(text: str) -> Intent:
    """Raises UnreadableError."""
    return _load(Intent, text)


def load_revocation(text: str) -> PendingRevocation:
    """Raises UnreadableError."""
    return _load(PendingRevocation, text)


def readable(load: Callable[[Any], T], rows: Sequence[Sequence[Any]]) -> list[T]:
    """The rows' first columns as `load` reads them, without those that it cannot read."""
    found = []
    for row in rows:
        try:
            found.append(load(row[0]))
        except UnreadableError:
            continue
    return found


def time_out(at: datetime) -> str:
    """ISO 8601 in UTC, to the microsecond. A naive time is a bug and raises ValueError."""
    if at.tzinfo is None:
        raise ValueError("a time without a zone")
    return at.astimezone(UTC).isoformat()


def time_in(data: object, where: str = "at") -> datetime:
    """The inverse. Raises UnreadableError."""
    if isinstance(data, str):
        try:
            at = datetime.fromisoformat(data)
        except ValueError:
            at = None
        if at is not None and at.tzinfo is not None:
            return at.astimezone(UTC)
    raise UnreadableError(f"{where} is not a time")


def _load(kind: type[T], text: str) -> T:
    try:
        text.encode()  # lone surrogates, which no text has that can be stored again
        data = json.loads(text)
    except (ValueError, RecursionError, AttributeError, TypeError):
        raise UnreadableError(f"a stored {kind.__name__} is not JSON") from None
    return cast(T, _plan(cast(Hashable, kind))(data, kind.__name__))


def _out(value: object) -> Json:
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, datetime):
        return time_out(value)
    if isinstance(value, tuple):
        return [_out(item) for item in value]
    if isinstance(value, Mapping):
        return {_text_key(name): _out(item) for name, item in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        body = {f.name: _out(getattr(value, f.name)) for f in fields(value)}
        case = _CASE_NAMES.get(type(value))
        return body if case is None else {"is": case, **body}
    raise TypeError(f"a {type(value).__name__} is never stored")


def _text_key(name: object) -> str:
    if not isinstance(name, str):
        raise TypeError("a mapping's names are text")
    return name


# --- decoding: one reader for each type, made once ----------------------------------------------------------

_Reader = Callable[[Json, str], object]


@cache
def _plan(kind: object) -> _Reader:
    if kind is datetime:
        return time_in
    if kind in (str, int, bool):
        return _scalar(kind)
    if kind is Advice:
        return _advice
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return _word_of(arguments)
    if origin is tuple:
        return _tuple_of(_plan(arguments[0]))
    if origin is not None and _is_mapping(origin):
        return _mapping_of(_plan(arguments[1]))
    if origin in (Union, types.UnionType):
        return _union_of(arguments)
    if kind is ErrorNote:
        return _note_of(_dataclass_of(ErrorNote))
    if isinstance(kind, type) and is_dataclass(kind):
        return _dataclass_of(kind)
    raise TypeError(f"{kind} is never stored")


def _is_mapping(origin: object) -> bool:
    return isinstance(origin, type) and issubclass(origin, Mapping)


def _scalar(kind: type[Any]) -> _Reader:
    def read(data: Json, where: str) -> object:
        if type(data) is not kind:  # a bool is not taken as an int
            raise UnreadableError(f"{where} is not of type {kind.__name__}")
        return data

    return read


def _advice(data: Json, where: str) -> object:
    if data not in tuple(Advice):
        raise UnreadableError(f"{where} is not an advice")
    return Advice(data)


def _word_of(words: tuple[str, ...]) -> _Reader:
    def read(data: Json, where: str) -> object:
        if not isinstance(data, str):
            raise UnreadableError(f"{where} is not of type str")
        if data not in words:
            raise TooNewError(f"{where} is not a known word")
        return data

    return read


def _tuple_of(item: _Reader) -> _Reader:
    def read(data: Json, where: str) -> object:
        if not isinstance(data, list):
            raise UnreadableError(f"{where} is not a list")
        return tuple(item(each, where) for each in data)

    return read


def _mapping_of(item: _Reader) -> _Reader:
    def read(data: Json, where: str) -> object:
        if not isinstance(data, dict):
            raise UnreadableError(f"{where} is not an object")
        return types.MappingProxyType({name: item(each, where) for name, each in data.items()})

    return read


def _union_of(kinds: tuple[Any, ...]) -> _Reader:
    present = [kind for kind in kinds if kind is not type(None)]
    optional = len(present) < len(kinds)
    if len(present) == 1:
        reader = _plan(present[0])
    elif all(kind in _CASE_NAMES for kind in present):
        reader = _case_of({_CASE_NAMES[kind]: kind for kind in present})
    else:
        raise TypeError(f"{kinds} is never stored")

    def read(data: Json, where: str) -> object:
        return None if data is None and optional else reader(data, where)

    return read


def _case_of(cases: dict[str, Any]) -> _Reader:
    def read(data: Json, where: str) -> object:
        name = data.get("is") if isinstance(data, dict) else None
        if not isinstance(name, str):
            raise UnreadableError(f"{where} is not one of its cases")
        if name not in cases:
            raise TooNewError(f"{where} is not a known case")
        body = {key: value for key, value in data.items() if key != "is"}
        return _plan(cases[name])(body, where)

    return read


def _dataclass_of(kind: type[Any]) -> _Reader:
    hints = get_type_hints(kind)
    readers = {f.name: _plan(hints[f.name]) for f in fields(kind)}
    retired = _RETIRED.get(kind, {})
    needed = [f.name for f in fields(kind) if not _has_default(f)]

    def read(data: Json, where: str) -> object:
        if not isinstance(data, dict):
            raise UnreadableError(f"{where} is not an object")
        for name, value in data.items():
            if name not in readers and value not in retired.get(name, ()):
                raise TooNewError(f"{where} has an unknown field")
        for name in needed:
            if name not in data:
                raise UnreadableError(f"{where}.{name} is missing")
        return kind(
            **{
                name: reader(data[name], f"{where}.{name}")
                for name, reader in readers.items()
                if name in data
            }
        )

    return read


def _note_of(note: _Reader) -> _Reader:
    """An error whose code or advice another version made is read as the nearest one of this version: it says
    what happened, and no account is lost for it.
    """

    def read(data: Json, where: str) -> object:
        if isinstance(data, dict) and isinstance(data.get("code"), str):
            data = {**data, "code": known_code(data["code"], data.get("advice"))}
            data["advice"] = CODES[data["code"]]
        return note(data, where)

    return read


def _has_default(item: Field[Any]) -> bool:
    return item.default is not MISSING or item.default_factory is not MISSING
