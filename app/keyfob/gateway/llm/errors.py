"""Errors of one format as those of another, in bodies and in streams."""

from __future__ import annotations

import json
from typing import Final

from keyfob.gateway.llm.events import Event
from keyfob.gateway.llm.formats import Format, Json
from keyfob.gateway.llm.pieces import Failed

# The types by status. OpenAI's clients go by the status; programs that look at the type get the usual ones.
_OPENAI: Final = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}
_ANTHROPIC: Final = {
    400: "invalid_request_error",
    401: "authentication_error",
    402: "billing_error",
    403: "permission_error",
    404: "not_found_error",
    409: "conflict_error",
    413: "request_too_large",
    429: "rate_limit_error",
    503: "overloaded_error",
    504: "timeout_error",
    529: "overloaded_error",
}
# What a failure inside a stream means, in the words of either vendor, as a status.
_STATUS: Final = {
    **{kind: status for status, kind in _ANTHROPIC.items() if status != 503},
    "rate_limit_exceeded": 429,
    "insufficient_quota": 429,
    "usage_limit_reached": 429,
    "usage_not_included": 429,
    "server_is_overloaded": 529,
    "slow_down": 529,
    "invalid_prompt": 400,
    "context_length_exceeded": 400,
    "invalid_api_key": 401,
}
_CODES_OF_RESPONSES: Final = frozenset(
    ("server_error", "rate_limit_exceeded", "invalid_prompt", "vector_store_timeout")
)

CUT: Final = Failed("The provider ended the answer before it was complete. Try again.", "server_error")
GARBLED: Final = Failed("The provider sent an answer that Keyfob cannot read. Try again.", "server_error")


class AnswerFailedError(Exception):
    """An answer that reports a failure. `status` is the HTTP status for a caller who has no answer yet."""

    def __init__(self, failed: Failed) -> None:
        super().__init__(failed.message)
        self.failed = failed
        self.status = status_of(failed)

    def body(self, target: Format) -> Json:
        """The error's body in the caller's format."""
        return written(self.failed, self.status, target)


def status_of(failed: Failed) -> int:
    """The HTTP status that says the same; 502 if none does."""
    return _STATUS.get(failed.code or "", _STATUS.get(failed.kind, 502))


def error(status: int, body: object, source: Format, target: Format) -> Json:
    """The body of an error in the caller's format. The status stays as it is.

    `body` is what the upstream sent: an object, or text or bytes that may be JSON.
    """
    found = _object(body)
    if source == target and isinstance(found, dict) and "error" in found:
        return found
    return written(failure_of(found, f"The provider answered with the status {status}."), status, target)


def written(failed: Failed, status: int, target: Format) -> Json:
    """The body of an error."""
    if target == "anthropic_messages":
        kind = _ANTHROPIC.get(status, "api_error" if status >= 500 else "invalid_request_error")
        return {"type": "error", "error": {"type": kind, "message": failed.message}}
    kind = _OPENAI.get(status, "server_error" if status >= 500 else "invalid_request_error")
    code = failed.code if failed.code or failed.kind.endswith("_error") else failed.kind
    return {"error": {"message": failed.message, "type": kind, "param": None, "code": code}}


def stream_error(failed: Failed, target: Format, number: int = 0) -> list[Event]:
    """The events that end a stream that failed. `number` is the sequence number, which Responses has."""
    status = status_of(failed)
    if target == "openai_responses":
        code = failed.code if failed.code in _CODES_OF_RESPONSES else "server_error"
        code = "rate_limit_exceeded" if status == 429 else code
        data: Json = {
            "type": "error",
            "code": code,
            "message": failed.message,
            "param": None,
            "sequence_number": number,
        }
        return [Event("error", json.dumps(data))]
    body = written(failed, status, target)
    return [Event("error" if target == "anthropic_messages" else None, json.dumps(body))]


def _object(body: object) -> object:
    if isinstance(body, bytes):
        body = body.decode("utf-8", "replace")
    if isinstance(body, str):
        try:
            return json.loads(body)
        except ValueError:
            return body
    return body


def failure_of(body: object, plain: str = "The provider failed. Try again.") -> Failed:
    """An error's body, read: `error`, `detail` or `message`. `plain` is for a body without words."""
    if isinstance(body, str):
        # A page in HTML is of no use to a program.
        return Failed(plain if not body.strip() or body.lstrip().startswith("<") else body.strip()[:2000])
    if not isinstance(body, dict):
        return Failed(plain)
    inner = body.get("error")
    if isinstance(inner, dict):
        code = inner.get("code")
        return Failed(
            str(inner.get("message") or plain),
            str(inner.get("type") or "api_error"),
            str(code) if code is not None else None,
        )
    for text in (inner, body.get("detail"), body.get("message"), body.get("title")):
        if isinstance(text, str) and text:
            return Failed(text)
    return Failed(plain)
