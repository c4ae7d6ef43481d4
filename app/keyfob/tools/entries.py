"""What `keyfob import` finds in plaintext files of other tools, and how a tool's file declares the formats
that it reads.

Pure: the caller reads the bytes. Every secret is a Secret, and no content of a file is ever in a message.
Each entry says where its secret is in the file, so that only those bytes are replaced. A file in an
unexpected form gives no entries rather than a guess.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from keyfob.core.methods import Method
from keyfob.core.provider import EMPTY
from keyfob.core.secret import Secret
from keyfob.ports import Span

BOM = b"\xef\xbb\xbf"
Way = Literal["api_key", "sign_in", "read_only", "unknown"]
KEY: Way = "api_key"
SIGN_IN: Way = "sign_in"
READ_ONLY: Way = "read_only"


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing found. `way`: a key to be moved, a sign-in to be done once, or something another tool still
    uses. `spans` are the places of the secret in the file, once `entries_of` has counted them in bytes.
    """

    way: Way
    host: str | None = None
    provider: str | None = None
    username: str | None = None
    secret: Secret | None = None
    spans: tuple[Span, ...] = ()
    variable: str | None = None
    reason: str = ""
    client_id: str | None = None
    client_secret: Secret | None = None
    scopes: tuple[str, ...] = ()
    inputs: Mapping[str, str] = field(default_factory=lambda: EMPTY)
    label: str | None = None
    subject: str = ""
    name: str | None = None
    method: Method | None = None
    preset: str | None = None  # the text of the exporting person's own


Parser = Callable[[str], Iterator[Entry]]


@dataclass(frozen=True, slots=True)
class Place:
    """Where a tool keeps its file: below the user's home, or in the folder that `variable` names."""

    below: str
    variable: str | None = None


def _never(_name: str, _text: str) -> bool:
    return False


@dataclass(frozen=True, slots=True)
class Format:
    """A file that can be imported. `named` says whether it is one by the file's name in lower case;
    `recognized`, by its text, with its JSON object if the text begins as one.
    """

    source: str  # as SOURCE of `keyfob import`
    title: str
    parse: Parser
    recognized: Callable[[str, Mapping[str, Any] | None], bool]
    named: Callable[[str, str], bool] = _never
    places: tuple[Place, ...] = ()
    file_variable: str | None = None  # names one more file of this kind


def entries_of(data: bytes, parse: Parser) -> list[Entry]:
    """A file's entries, with each span in bytes. Bytes that are not UTF-8 are passed over; an entry that has
    some in it is left out.
    """
    start = len(BOM) if data.startswith(BOM) else 0
    text = data[start:].decode("utf-8", "surrogateescape")
    entries = [each for each in parse(text) if _is_unicode(each)]
    ends = {end for entry in entries for span in entry.spans for end in (span.start, span.end)}
    at, count, in_bytes = 0, start, {}
    for end in sorted(ends):
        count += len(text[at:end].encode("utf-8", "surrogateescape"))
        at = end
        in_bytes[end] = count
    return [
        replace(
            entry,
            spans=tuple(Span(in_bytes[each.start], in_bytes[each.end], each.filler) for each in entry.spans),
        )
        for entry in entries
    ]


def _is_unicode(entry: Entry) -> bool:
    secrets = [each.reveal() for each in (entry.secret, entry.client_secret) if each]
    texts = [entry.host or "", entry.username or "", entry.client_id or "", *entry.scopes, *secrets]
    return all(text.isascii() or _encodes(text) for text in texts)


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def text_in(body: Mapping[str, Any], name: str) -> str | None:
    """A member that is a text with something in it."""
    value = body.get(name)
    return value if isinstance(value, str) and value else None
