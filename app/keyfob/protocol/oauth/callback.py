"""Checks the authorization response: raw bytes or pasted text in, a verdict out (RFC 8252 §7.3).

Accepts only a plain top-level navigation to the exact redirect address, with this attempt's state and issuer.
The loopback listener calls it for every connection and for pasted text. It has no I/O and keeps no state. It
never puts anything that the peer sent into a verdict or an error.

A refused response does not end the attempt: the listener keeps waiting for the real one.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from urllib.parse import unquote_to_bytes, urlsplit

from keyfob.core.errors import PeerFault, Usage
from keyfob.core.words import PasteForm
from keyfob.protocol.effects import Expectation
from keyfob.protocol.http.request import MalformedError, TooLongError, read_head

MAX_PASTE = 16 * 1024  # characters

_BROKEN_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_NOT_IN_A_CODE = re.compile(r"[\x00-\x1f\x7f\ufffd]")
_CODE = re.compile(r"[\x21-\x7e]{1,8192}")  # RFC 6749 Appendix A.11, without the blank


class Why(StrEnum):
    """Why a request or an answer was refused. Fixed words: nothing from the peer is ever in them."""

    MALFORMED = "malformed"
    TOO_LONG = "too_long"
    BODY = "body"
    METHOD = "method"
    NOT_FOUND = "not_found"
    HOST = "host"
    NOT_NAVIGATION = "not_navigation"
    DOUBLED = "doubled"
    STATE = "state"
    ISSUER = "issuer"
    NO_CODE = "no_code"
    NOT_EXPECTED = "not_expected"
    SLOW = "slow"


_STATUS: Mapping[Why, int] = MappingProxyType(
    {
        Why.TOO_LONG: 431,
        Why.METHOD: 405,
        Why.NOT_FOUND: 404,
        Why.NOT_NAVIGATION: 403,
        Why.SLOW: 408,
    }
)


@dataclass(frozen=True, slots=True)
class Refused:
    """A request that is not the browser's return, and why it is refused."""

    why: Why

    @property
    def status(self) -> int:
        """The HTTP status that says so."""
        return _STATUS.get(self.why, 400)


@dataclass(frozen=True, slots=True)
class Visit:
    """A well-formed GET by top-level navigation to our own Host. The query may hold the code."""

    path: str
    query: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Accepted:
    """An authorization response of this attempt: a code or an error, its state and issuer checked.

    `state_checked` is False only for a bare pasted code, which carries no state to check: there the
    `code_verifier` alone ties the code to the attempt (RFC 7636 §1).
    """

    params: Mapping[str, str] = field(repr=False)
    state_checked: bool = True


def read_request(data: bytes, hosts: frozenset[str]) -> Visit | Refused | None:
    """Check what one connection has sent so far; None while more is needed.

    `hosts` are the exact Host values that name this listener (DNS rebinding: no other will do).
    What `read_head` takes, and of that a GET with one Host and no body.
    """
    try:
        head = read_head(data)
    except MalformedError:
        return Refused(Why.MALFORMED)
    except TooLongError:
        return Refused(Why.TOO_LONG)
    if head is None:
        return None
    if head.method != "GET":
        return Refused(Why.METHOD)
    if refusal := _unfit(head.headers, hosts):
        return Refused(refusal)
    if len(data) > head.size:
        return Refused(Why.BODY)
    path, _, query = head.target.partition("?")
    return Visit(path, query)


def _unfit(headers: Mapping[str, list[str]], hosts: frozenset[str]) -> Why | None:
    if [value.lower() for value in headers.get("host", [])] not in [[host] for host in hosts]:
        return Why.HOST
    if "transfer-encoding" in headers or any(value != "0" for value in headers.get("content-length", [])):
        return Why.BODY
    modes = headers.get("sec-fetch-mode", [])
    destinations = headers.get("sec-fetch-dest", [])
    sites = headers.get("sec-fetch-site", [])
    navigation = modes == ["navigate"] and destinations == ["document"]
    if (
        modes not in ([], ["navigate"])
        or destinations not in ([], ["document"])
        or sites not in ([], ["none"], ["same-origin"], ["same-site"], ["cross-site"])
        # A browser that says "navigate" may still carry the Origin of the form that led to the redirect.
        or ("origin" in headers and not navigation)
        # A prefetch would use up the code before the user has gone anywhere.
        or any("prefetch" in value.lower() for value in headers.get("sec-purpose", []))
        or any("prefetch" in value.lower() for value in headers.get("purpose", []))
    ):
        return Why.NOT_NAVIGATION
    return None


def read_query(query: str) -> dict[str, str] | Refused:
    """The parameters of a query string, each at most once after decoding (RFC 6749 §3.1)."""
    params: dict[str, str] = {}
    for piece in query.split("&"):
        if not piece:
            continue
        name, _, value = piece.partition("=")
        try:
            decoded_name, decoded_value = _decode(name), _decode(value)
        except ValueError:
            return Refused(Why.MALFORMED)
        if decoded_name in params:
            return Refused(Why.DOUBLED)
        params[decoded_name] = decoded_value
    return params


def _decode(text: str) -> str:
    if _BROKEN_ESCAPE.search(text):
        raise ValueError("a broken percent escape")
    # Some servers describe errors in Latin-1: that must not cost the user the whole answer.
    return unquote_to_bytes(text.replace("+", " ")).decode("utf-8", "replace")


def at_expected_path(path: str, expectation: Expectation) -> bool:
    """Whether this is the redirect path, octet for octet; in constant time, since it may carry the state."""
    return _same(path, expectation.path or "/")


def judge(visit: Visit, expectation: Expectation) -> Accepted | Refused:
    """Whether this visit is the authorization response that the attempt waits for. Pure: spends nothing."""
    if not at_expected_path(visit.path, expectation):
        return Refused(Why.NOT_FOUND)
    params = read_query(visit.query)
    if isinstance(params, Refused):
        return params
    refusal = _fault_in(params, expectation)
    return Refused(refusal) if refusal else Accepted(MappingProxyType(params))


def same_state(query: str, expectation: Expectation) -> bool:
    """Whether a query carries this attempt's state, whatever else is in it: for telling a reload from a
    stranger.
    """
    params = read_query(query)
    return not isinstance(params, Refused) and _same(params.get("state", ""), expectation.state.reveal())


def _fault_in(params: Mapping[str, str], expectation: Expectation, *, state_known: bool = True) -> Why | None:
    # The state comes first: without it not even an error is this attempt's.
    if (
        state_known
        and not expectation.stateless
        and not (expectation.state and _same(params.get("state", ""), expectation.state.reveal()))
    ):
        return Why.STATE
    issuer = params.get("iss")
    if issuer is None:
        if expectation.iss_required:
            return Why.ISSUER
    elif issuer != expectation.issuer and (expectation.issuer is not None or expectation.iss_required):
        return Why.ISSUER
    code, error = params.get(expectation.code_param), params.get("error")
    if (code is None) == (error is None):
        return Why.NO_CODE
    if code is not None and (not code or _NOT_IN_A_CODE.search(code)):
        return Why.NO_CODE
    return None


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode("utf-8"))


def read_paste(text: str, *, form: PasteForm | None, redirect_uri: str, expectation: Expectation) -> Accepted:
    """Pasted text instead of the browser's visit, under the same checks.

    A full redirect address or its query is always understood; `code#state` and a bare code only if the
    preset's paste form (`RedirectProfile.paste`) is that. Raises Usage for what is not an answer at all,
    PeerFault `state_mismatch`, `issuer_mismatch` or `protocol_violation` for an answer that is not this
    attempt's.
    """
    text = text.strip()
    if not text:
        raise _no_answer("Nothing was pasted")
    if len(text) > MAX_PASTE:
        raise _no_answer("The pasted text is too long")
    if any(char.isspace() or not char.isprintable() for char in text):
        raise _no_answer("The pasted text has spaces or line breaks in it")
    if re.match(r"(?i)https?://", text):
        return _accept(_query_of(text, redirect_uri, expectation), expectation)
    if _looks_like_query(text, expectation):
        return _accept(text.removeprefix("?").partition("#")[0], expectation)
    if form == "code#state":
        code, mark, state = text.partition("#")
        if not mark or not state:
            raise _no_answer("The pasted code is incomplete")
        return _accept_params({expectation.code_param: code, "state": state}, expectation)
    if form == "code":
        if not _CODE.fullmatch(text):
            raise _no_answer("The pasted text is not a code")
        return _accept_params({expectation.code_param: text}, expectation, state_known=False)
    raise _no_answer("This is not the address of the browser's last page")


def _no_answer(message: str) -> Usage:
    return Usage(message, code="paste_wrong")


def _looks_like_query(text: str, expectation: Expectation) -> bool:
    names = {piece.partition("=")[0] for piece in text.removeprefix("?").split("&") if "=" in piece}
    return text.startswith("?") or ("state" in names and bool(names & {expectation.code_param, "error"}))


def _query_of(address: str, redirect_uri: str, expectation: Expectation) -> str:
    expected = urlsplit(redirect_uri)
    try:
        given = urlsplit(address)
        same = (given.scheme, given.netloc.lower()) == (expected.scheme, expected.netloc.lower())
    except ValueError:
        raise _no_answer("The pasted text is not an address") from None
    # A redirect that is not loopback has its own path; the expectation's is the listener's.
    path = expectation.path if expected.scheme == "http" else expected.path
    if not same or not _same(given.path or "/", path or "/"):
        raise _no_answer("This is not the address of the browser's last page")
    return given.query


def _accept(query: str, expectation: Expectation) -> Accepted:
    params = read_query(query)
    if isinstance(params, Refused):
        raise PeerFault("The pasted address cannot be read")
    return _accept_params(params, expectation)


def _accept_params(params: dict[str, str], expectation: Expectation, *, state_known: bool = True) -> Accepted:
    match _fault_in(params, expectation, state_known=state_known):
        case None:
            return Accepted(MappingProxyType(params), state_checked=state_known)
        case Why.STATE:
            raise PeerFault("This address belongs to another sign-in", code="state_mismatch")
        case Why.ISSUER:
            raise PeerFault("A different server answered", code="issuer_mismatch")
        case _:
            raise PeerFault("The pasted address has no code in it")


__all__ = [
    "Accepted",
    "Refused",
    "Visit",
    "Why",
    "at_expected_path",
    "judge",
    "read_paste",
    "read_query",
    "read_request",
    "same_state",
]
