"""Reads what peers answer, strictly, and sorts failures by what should follow.

Every flow reads its answers through this file. The transport limits a body's size and time. This file
requires UTF-8, JSON as in RFC 8259 (or a form, if the server says so), no repeated keys, and a limited depth.
A failure becomes an error of `core.errors` that says whether it may pass. A peer's words reach a message only
through `core.text.plain`. Only `token_failure` ends a grant, and only for `invalid_grant`, for an error that
asks for the person, or for what the preset names.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, NoReturn
from urllib.parse import parse_qsl, urlsplit

from keyfob.core import patterns
from keyfob.core.error_codes import ErrorCode
from keyfob.core.errors import (
    KeyfobError,
    PeerFault,
    SettingWrong,
    SignInEnded,
    SignInNeeded,
    Transient,
)
from keyfob.core.http import Response
from keyfob.core.provider import AnswerPattern, Lifetimes, Provider
from keyfob.core.text import plain
from keyfob.core.untyped import Json
from keyfob.protocol.http.json_path import read_path

DEPTH_MOST = 64  # JSON levels; no honest answer has ten
FIELDS_MOST = 200  # of a form
RETRY_AFTER_MOST = timedelta(days=1)  # a longer wait is a mistake, and the user can always retry by hand
# Possessive, so that a long string costs no memory for steps back.
_STRING_OR_BRACKET = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|[\[{]|[\]}]', re.DOTALL)
# A key with a text as its value; else any text, so that nothing within a text is taken for a key.
_PAIR = re.compile(rb'"((?:[^"\\]++|\\.)*+)"\s*+:\s*+"((?:[^"\\]++|\\.)*+)"|"(?:[^"\\]++|\\.)*+"?', re.DOTALL)
_WEB_PAGE = re.compile(rb"\s*<", re.DOTALL)

# The last is GitHub's word for the first.
CLIENT_ERRORS = frozenset({"invalid_client", "unauthorized_client", "incorrect_client_credentials"})
# The server wants the person in front of it (OpenID Connect Core 3.1.2.6), which no renewal can give it.
PERSON_ERRORS = frozenset(
    {"interaction_required", "login_required", "account_selection_required", "consent_required"}
)
PASSING_ERRORS = frozenset({"temporarily_unavailable", "server_error", "slow_down"})
RATE_ERRORS = frozenset({"rate_limited", "rate_limit_exceeded", "ratelimited", "too_many_requests"})


class NotStrictError(ValueError):
    """A body that is not what it should be; the message says why, in Keyfob's words."""


class CutOffError(NotStrictError):
    """A body whose end is missing: the peer meant well, and the next answer may be whole."""


# --- reading ------------------------------------------------------------------------------------------------


def parse_json(body: bytes) -> Json:
    """The JSON value of `body`. Raises NotStrictError for anything but UTF-8 JSON with unique keys, finite
    depth and no NaN or Infinity, CutOffError if it is cut off. A UTF-8 byte order mark is passed over (RFC
    8259 §8.1).
    """
    unclosed = _depth_at_end(body)
    try:
        text = body.removeprefix(b"\xef\xbb\xbf").decode("utf-8")
        return json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
    except NotStrictError:
        raise
    except UnicodeDecodeError:
        fault = "it is not UTF-8"
    except (ValueError, RecursionError):
        fault = "it is not JSON"
    if unclosed or not body.strip():
        raise CutOffError("it is cut off")
    raise NotStrictError(fault)


def _depth_at_end(body: bytes) -> int:
    """How many brackets are still open at the end. Raises NotStrictError if they nest too deep."""
    depth = 0
    for match in _STRING_OR_BRACKET.finditer(body):
        first = match[0][:1]
        if first in b"[{":
            depth += 1
            if depth > DEPTH_MOST:
                raise NotStrictError("it is nested too deeply")
        elif first in b"]}":
            depth -= 1
    return max(depth, 0)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise NotStrictError("it has a repeated key")
    return found


def _no_constant(_name: str) -> NoReturn:
    raise NotStrictError("it is not JSON")


def parse_object(response: Response) -> dict[str, Any]:
    """The object of an answer, whatever its status: JSON, or a form where Content-Type says so (GitHub's
    default). Raises NotStrictError.
    """
    kind = media_type(response)
    if kind == "application/x-www-form-urlencoded" or (
        kind == "text/plain" and not response.body.lstrip().startswith((b"{", b"["))
    ):
        return _parse_form(response.body)
    found = parse_json(response.body)
    if not isinstance(found, dict):
        raise NotStrictError("it is not a JSON object")
    return found


def _parse_form(body: bytes) -> dict[str, Any]:
    try:
        pairs = parse_qsl(
            body.decode("ascii").strip(), strict_parsing=True, errors="strict", max_num_fields=FIELDS_MOST
        )
    except ValueError:
        raise NotStrictError("it is not a form") from None
    return _once(pairs)


def text_within(body: bytes, name: str) -> str | None:
    """The text that stands under the key `name` in a body that cannot be read as a whole: JSON with doubled
    keys, in another encoding, cut off, with something behind it; or a form. None if the body holds no whole
    such text.

    For tokens that must not be lost, and for nothing else: what it finds is not checked. The last one counts
    where there are several, as in the parsers that most servers are tested with.
    """
    if _WEB_PAGE.match(body[:1024]):
        return None
    body = body.replace(b"\0", b"")  # UTF-16 and UTF-32, as far as tokens go: they are ASCII
    found: str | None = None
    for match in _PAIR.finditer(body):
        if match[1] == name.encode():
            with suppress(ValueError):
                found = json.loads(b'"' + match[2] + b'"')
    if found is None:
        for key, value in parse_qsl(body.decode("latin-1").strip(), max_num_fields=None):
            found = value if key == name else found
    return found


def is_web_page(response: Response) -> bool:
    """Whether a web page came where data was asked for: a captive portal's, a firewall's, a provider's error
    page.
    """
    kind = media_type(response)
    return kind in ("text/html", "application/xhtml+xml") or bool(_WEB_PAGE.match(response.body[:1024]))


def is_cloudflare(response: Response) -> bool:
    """Whether Cloudflare answered in the API's place, with a challenge or a block page."""
    headers = response.headers
    return "cf-mitigated" in headers or (
        is_web_page(response) and ("cf-ray" in headers or headers.get("server", "").lower() == "cloudflare")
    )


def read_json(response: Response, what: str, *, who: str = "") -> dict[str, Any]:
    """The object of a successful answer. `what` names the endpoint in errors ("The user information
    endpoint"), `who` the peer as in `failure`.

    Raises what `failure` gives for a status other than 2xx; Transient `captive_portal` for a web page, and
    for a body that is not strict `response_invalid`: PeerFault if the peer calls it JSON, Transient if it is
    cut off or somebody else may have answered. A Transient has `answered` False: a token in it may be lost.
    """
    if not 200 <= response.status < 300:
        raise failure(response, what, who=who)
    try:
        return parse_object(response)
    except NotStrictError as fault:
        raise _unreadable(response, what, fault) from None


def read_first(response: Response, what: str) -> dict[str, Any]:
    """As `read_json`, for the requests that begin a sign-in. There a refusal without a word is about this
    client, and waiting would not help: SettingWrong `client_refused`.
    """
    silent = _object_or_none(response) is None and not is_web_page(response) and not is_cloudflare(response)
    if response.status in (400, 401, 403) and silent:
        raise SettingWrong(
            f"{what} refused the request without a reason",
            code="client_refused",
            detail=_detail(response, what, None, ""),
        )
    return read_json(response, what)


def _unreadable(response: Response, what: str, fault: NotStrictError) -> KeyfobError:
    if is_cloudflare(response):
        return _protection_page(what, answered=False)
    if is_web_page(response):
        return Transient(f"{what} answered with a web page", code="captive_portal")
    words = f"{what} sent an answer that cannot be read: {fault}"
    if media_type(response).endswith(("/json", "+json")) and not isinstance(fault, CutOffError):
        return PeerFault(words, code="response_invalid")
    return Transient(words, code="response_invalid")


def media_type(response: Response) -> str:
    """The answer's media type in lower case, without its parameters."""
    return response.headers.get("content-type", "").partition(";")[0].strip().lower()


def _protection_page(what: str, *, answered: bool = True, retry_after: timedelta | None = None) -> Transient:
    return Transient(
        f"A Cloudflare protection page answered instead of {what[:1].lower()}{what[1:]}",
        answered=answered,
        retry_after=retry_after,
    )


def retry_after(response: Response) -> timedelta | None:
    """What `Retry-After` asks for (RFC 9110 §10.2.3): seconds, or a date, from the moment of the answer.
    Between nothing and a day; None if it is absent or says neither.
    """
    value = response.headers.get("retry-after", "").strip()
    if re.fullmatch(r"[0-9]{1,18}(\.[0-9]{1,9})?", value):
        return min(timedelta(seconds=min(float(value), 1e9)), RETRY_AFTER_MOST)
    try:
        date = parsedate_to_datetime(value)
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    wait = (date if date.tzinfo else date.replace(tzinfo=UTC)) - response.at
    return min(max(wait, timedelta(0)), RETRY_AFTER_MOST)


# --- failures -----------------------------------------------------------------------------------------------


def error_of(data: Mapping[str, Any] | None, field: str = "error") -> tuple[str | None, str]:
    """The error code of an answer (None: it holds none) and its description made plain.

    `field` may be a dotted path (`errors.0.errorType`). An error may be text, a number or an object of its
    own, as servers that are not RFC 6749's have it.
    """
    found: Any = data
    for part in field.split("."):
        if isinstance(found, Mapping):
            found = found.get(part)
        elif isinstance(found, list) and part.isdecimal() and int(part[:4]) < len(found):
            found = found[int(part[:4])]
        else:
            found = None
    description: Any = None
    if isinstance(found, Mapping):
        description = found.get("message") or found.get("description")
        found = next((found[k] for k in ("code", "type", "error", "status") if found.get(k)), description)
    if data is not None:
        description = data.get("error_description") or description or data.get("message")
    if isinstance(found, bool) or not isinstance(found, str | int | float) or found in ("", 0):
        found = None
    said = plain(description) if isinstance(description, str) else ""
    return (None if found is None else plain(found, 100)), said


def failure(response: Response, what: str, *, who: str = "", error_field: str = "error") -> KeyfobError:
    """The error for an answer that is not a success, at any endpoint. `who` names the peer in the sentence
    (default: `what`), `what` names the endpoint in the details. Never ends a grant: `invalid_grant` here is a
    PeerFault like every other refusal; `token_failure` is the one that knows better.
    """
    return _classify(response, what, _object_or_none(response), error_field, who or what)


def token_failure(
    provider: Provider, response: Response, what: str, data: Mapping[str, Any] | None = None
) -> KeyfobError:
    """The error for a token endpoint's answer that is not a success: by status, or by the `error` within a
    200 (S-31).

    SignInNeeded `grant_ended` for `invalid_grant` (RFC 6749 §5.2), for an error that asks for the person, and
    for what the preset names in `[lifetimes]`. For nothing else: a server that is down, limits, asks who we
    are or answers with a web page has said nothing of the grant.
    """
    if data is None:
        data = _object_or_none(response)
    code, said = error_of(data, provider.token_answer.error_field)
    detail = _detail(response, what, code, said)
    # A server that is busy, or a redirect, has not looked at the grant, whatever the body says.
    status = response.status
    looked = status < 300 or (400 <= status < 500 and status not in (408, 429))
    if looked and code in PERSON_ERRORS:
        return SignInNeeded(f"{provider.title} asks you to sign in again", code="grant_ended", detail=detail)
    if looked and _ends_grant(provider.lifetimes, code, data):
        return SignInNeeded(f"{provider.title} ended this sign-in", code="grant_ended", detail=detail)
    return _classify(response, what, data, provider.token_answer.error_field, provider.title)


def _ends_grant(lifetimes: Lifetimes, code: str | None, data: Mapping[str, Any] | None) -> bool:
    """Whether an error means that the grant has ended: by its code, or by a field that the preset names."""
    return code == "invalid_grant" or code in lifetimes.terminal_errors or fits(lifetimes.terminal, data)


def fits(entries: Sequence[AnswerPattern], data: Mapping[str, Any] | None) -> bool:
    """Whether an answer has one of the fields that a preset names, with the text that it names."""
    values = ((read_path(data or {}, entry.field), entry.pattern) for entry in entries)
    return any(
        isinstance(value, str | int) and patterns.matches(pattern, _as_text(value)[: patterns.TEXT_MOST])
        for value, pattern in values
    )


def _as_text(value: str | int) -> str:
    """As JSON writes it, texts without their quotes: true, not True."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _object_or_none(response: Response) -> dict[str, Any] | None:
    try:
        return parse_object(response)
    except NotStrictError:
        return None


def _classify(
    response: Response, what: str, data: Mapping[str, Any] | None, error_field: str, who: str
) -> KeyfobError:
    status, wait = response.status, retry_after(response)
    code, said = error_of(data, error_field)
    detail = _detail(response, what, code, said)
    if status == 429 or code in RATE_ERRORS:
        return Transient(
            f"{who} asked Keyfob to wait", code="rate_limited", detail=detail, retry_after=wait, answered=True
        )
    if status == 511:
        return Transient("This network requires you to sign in first", code="captive_portal", answered=True)
    if is_cloudflare(response):
        return _protection_page(what, retry_after=wait)
    if status >= 500 or status == 408 or code in PASSING_ERRORS:
        return Transient(f"{who} is not available right now", detail=detail, retry_after=wait, answered=True)
    if 300 <= status < 400:
        return _redirected(response, what)
    if data is None:
        how = "with a web page" if is_web_page(response) else "without a reason"
        return Transient(
            f"{who} refused the request {how}",
            code="request_refused",
            detail=detail,
            retry_after=wait,
            answered=True,
        )
    if code in CLIENT_ERRORS:
        return SettingWrong(
            f"{who} does not accept this app registration", code="client_refused", detail=detail
        )
    if code == "invalid_scope":
        return SettingWrong(f"{who} does not accept the scopes", code="scope_refused", detail=detail)
    if code == "access_denied":
        return SignInEnded(f"{who} did not allow access", code="declined", detail=detail)
    return PeerFault(f"{who} refused the request", detail=detail)


def _redirected(response: Response, what: str) -> Transient:
    here, there = urlsplit(response.url).hostname, ""
    with suppress(ValueError):
        there = urlsplit(response.headers.get("location", "")).hostname or ""
    code: ErrorCode = "captive_portal" if there and there != here else "provider_unavailable"
    return Transient(
        f"{what} answered with a redirect, which Keyfob does not follow", code=code, answered=True
    )


def _detail(response: Response, what: str, code: str | None, said: str) -> str:
    """For the details of an error: the status, and the peer's own words."""
    return ": ".join(part for part in (f"{what} answered {response.status}", code, said) if part)
