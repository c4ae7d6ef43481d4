""".netrc, which curl, git, Python and others read: its passwords."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from keyfob.core.secret import Secret
from keyfob.ports import Span
from keyfob.tools.entries import KEY, Entry, Format, Place
from keyfob.tools.text_places import lines, shell_words
from keyfob.tools.tool import Tool

MOVED = "moved-to-keyfob"  # a password has to be there, or the next word would be taken for one


def netrc(text: str) -> Iterator[Entry]:
    """`machine HOST login USER password SECRET`, in any spacing. Macros are passed over.

    The standard library's reader does not say where a password stands, and keeps one login a host.
    """
    words = _netrc_words(text)
    none = ("", Span(0, 0))
    host: str | None = None
    found: dict[str, tuple[str, Span]] = {}
    for word, _ in words:
        if word in ("machine", "default"):
            yield from _machine(host, found)
            host, found = (next(words, none)[0] or None) if word == "machine" else None, {}
        elif word in ("login", "account", "password"):
            found[word] = next(words, none)
    yield from _machine(host, found)


def _machine(host: str | None, found: Mapping[str, tuple[str, Span]]) -> Iterator[Entry]:
    password, span = found.get("password", ("", None))
    if host and span and password not in ("", MOVED):
        yield Entry(
            KEY,
            host=host.lower(),
            username=found["login"][0] if "login" in found else None,
            secret=Secret(password),
            spans=(span,),
        )


def _netrc_words(text: str) -> Iterator[tuple[str, Span]]:
    in_macro = False
    for at, line in lines(text):
        if not line.strip():
            in_macro = False
        elif line.lstrip().startswith("macdef"):
            in_macro = True
        elif not in_macro and not line.lstrip().startswith("#"):
            for word, start, end in shell_words(line):
                # An entry with no password would take the next word for one.
                yield word, Span(at + start, at + end, MOVED.encode())


def _recognized(text: str, body: Mapping[str, Any] | None) -> bool:
    return body is None and re.search(r"(?m)^\s*machine\s", text) is not None


TOOL = Tool(
    "netrc",
    formats=(
        Format(
            "netrc",
            ".netrc",
            netrc,
            _recognized,
            named=lambda name, _: name in (".netrc", "_netrc", "netrc"),
            places=(Place(".netrc"), Place("_netrc")),
            file_variable="NETRC",
        ),
    ),
)
