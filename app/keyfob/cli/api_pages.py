"""All pages of an API's answer, and `--jq`: what `keyfob request` reads whole before it prints anything."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Protocol

from keyfob.cli.api_call import BODY_MOST, ApiCall
from keyfob.core.errors import PeerFault, SettingWrong, Usage
from keyfob.core.text import plain

# RFC 8288 §3: <target> and its parameters, whose values may be quoted.
_LINK = re.compile(r'<([^<>]*)>((?:\s*;\s*[^\s=;,"<>]+(?:\s*=\s*(?:"(?:[^"\\]|\\.)*"|[^\s";,]*))?)*)')
_PARAMETER = re.compile(r';\s*([^\s=;,"<>]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s";,]*))')


def next_link(header: str) -> str | None:
    """The target of the first link with the relation `next` in a Link header (RFC 8288 §3). A link with
    an anchor belongs to another page and does not count.
    """
    for target, text in _LINK.findall(header):
        parameters: dict[str, str] = {}
        for name, quoted, bare in _PARAMETER.findall(text):
            parameters.setdefault(name.lower(), quoted or bare)  # of several rel, the first counts (§3.3)
        if "next" in parameters.get("rel", "").lower().split() and "anchor" not in parameters:
            return str(target)
    return None


@dataclass(frozen=True, slots=True)
class Whole:
    """An answer that was read whole. `more`: there is a next page that was not read."""

    status: int
    body: bytes = field(repr=False)
    pages: int = 1
    more: bool = False

    @property
    def ok(self) -> bool:
        """Whether the status says that the call succeeded."""
        return 200 <= self.status < 300


def whole_answer(call: ApiCall, method: str, url: str, body: bytes | None) -> Whole:
    """The answer to one call. Raises a KeyfobError."""
    with call.answer(method, url, body) as found:
        return Whole(found.answer.status, found.whole())


def all_pages(call: ApiCall, url: str, most: int) -> Whole:
    """Up to `most` pages from `url` on as one document, or the first answer that is an error. Raises a
    KeyfobError.
    """
    bodies: list[bytes] = []
    seen, size = {url}, 0
    while True:
        with call.answer("GET", url, None) as found:
            bodies.append(found.whole(BODY_MOST - size))
            if not found.ok:
                return Whole(found.answer.status, bodies[-1])
            size += len(bodies[-1])
            link = next_link(found.answer.headers.get("link", ""))
            following = call.next_address(found.url, link) if link is not None else None
        if following is None or len(bodies) == most:
            return Whole(found.answer.status, joined(bodies), len(bodies), more=following is not None)
        if following in seen:
            raise PeerFault(
                "The API names a page as the next one that it already sent", code="response_invalid"
            )
        seen.add(following)
        url = following


def joined(bodies: list[bytes]) -> bytes:
    """Pages as one document: arrays become one array, and other pages follow each other on lines of their
    own.
    """
    if len(bodies) == 1:
        return bodies[0]
    bodies = [body.strip() for body in bodies]
    if all(map(_is_array, bodies)):
        return b"[" + b",".join(inner for body in bodies if (inner := body[1:-1].strip())) + b"]"
    return b"\n".join(bodies)


class Program(Protocol):
    """A compiled jq program."""

    def input_text(self, text: str) -> Iterator[str]:
        """Its results for each JSON document in `text`. Raises ValueError."""


def compiled(expression: str) -> Program:
    """The jq program, whose results are texts: a string as it is, anything else as JSON. Raises SettingWrong
    `jq_missing` if the package is not installed, and Usage for an expression that is not one of jq's.
    """
    try:
        import jq
    except ImportError:
        raise SettingWrong("--jq needs the Python package jq", code="jq_missing") from None
    try:
        jq.compile(expression)  # first alone, for the words of a syntax error
        # jq itself writes the JSON: in Python, a number of more than 53 bits would be rounded.
        program: Program = jq.compile(
            f'({expression.strip() or "."}\n) | if type == "string" then . else tojson end'
        )
    except ValueError as error:
        raise Usage(f"--jq: {_reason(error)}") from None
    return program


def filtered(program: Program, body: bytes) -> bytes:
    """The program's results, each on its own line. Raises PeerFault for a body that is not JSON, and Usage if
    the program fails on it.
    """
    try:
        lines = list(program.input_text(body.decode("utf-8", "replace")))
    except ValueError as error:
        reason = _reason(error)
    else:
        return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogatepass")
    # Outside the handler: jq's results crash the process if they are freed with the error that holds them.
    if not _is_json(body):
        raise PeerFault(
            "The response is not JSON",
            code="response_invalid",
            remedy="To see the response, leave out --jq.",
        )
    raise Usage(f"--jq: {reason}")


def _reason(error: ValueError) -> str:
    return plain(" ".join(str(error).split()).removeprefix("jq: error: "), 200)


def _is_array(body: bytes) -> bool:
    return body.startswith(b"[") and _is_json(body)


def _is_json(body: bytes) -> bool:
    try:
        json.loads(body)
    except (ValueError, RecursionError):
        return False
    return True
