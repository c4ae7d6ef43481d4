"""Answers that are the gateway's own: problem documents (RFC 9457)."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping

from aiohttp import web

from keyfob.agent.remedies import REMEDIES
from keyfob.core.errors import (
    KeychainError,
    KeyfobError,
    NotFound,
    PeerFault,
    SettingWrong,
    SignInEnded,
    SignInNeeded,
    Transient,
    Usage,
)
from keyfob.gateway.auth.result import REFUSAL

TYPE = "application/problem+json"
_STATUS: tuple[tuple[type[KeyfobError], int], ...] = (
    (Usage, 400),
    (SignInNeeded, 401),
    (SignInEnded, 401),
    (KeychainError, 503),
    (Transient, 503),
    (NotFound, 404),
    (SettingWrong, 403),
    (PeerFault, 502),
)


def problem(
    status: int, code: str, detail: str, headers: Mapping[str, str] | None = None, **more: object
) -> web.Response:
    """A refusal. `detail` is shown to the caller, and never secret."""
    body = {"code": code, "detail": detail, "status": status, **more}
    return web.Response(
        status=status,
        body=json.dumps(body).encode(),
        content_type=TYPE,
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


def refusal() -> web.Response:
    """For every caller who is not known, whatever the reason."""
    # git and other clients send a password only if Basic is offered.
    offered = 'Bearer realm="Keyfob", Basic realm="Keyfob"'
    return problem(401, "authentication_failed", REFUSAL, {"WWW-Authenticate": offered})


def not_found() -> web.Response:
    """For an address that is not there."""
    return problem(404, "not_found", "There is no such address")


def not_granted(detail: str) -> web.Response:
    """For a caller who is known and may not do this."""
    return problem(403, "not_granted", detail)


def of_error(error: KeyfobError, **more: object) -> web.Response:
    """What went wrong with the account, and what to do."""
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), 500)
    if error.code in ("store_busy", "store_unreachable"):
        status = 503  # may pass
    code = "sign_in_needed" if isinstance(error, SignInNeeded) else error.code
    headers = {}
    if error.retry_after is not None and status == 503:
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after.total_seconds())))
    return problem(status, code, error.sentence(REMEDIES), headers, advice=error.advice, **more)
