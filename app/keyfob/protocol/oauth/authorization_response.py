"""The content of an authorization response (RFC 6749 §4.1.2), after the
listener has matched it to this attempt.

Called by the flows that wait for one. An error's code and description come from outside: they are made plain
and go to the error's details. The description decides nothing.
"""

from __future__ import annotations

from keyfob.core.errors import KeyfobError, PeerFault, SettingWrong, SignInEnded, Transient
from keyfob.core.http import Callback
from keyfob.core.secret import Secret
from keyfob.core.text import plain
from keyfob.protocol.context import FlowContext


def code_in(callback: Callback, ctx: FlowContext) -> Secret:
    """The code of an authorization response. Raises the error of an error response (RFC 6749 §4.1.2.1)."""
    error = callback.params.get("error")
    if error is not None:
        raise callback_error(ctx, error, callback.params.get("error_description", ""))
    code = callback.params.get("code")
    if not code:
        raise PeerFault(f"{ctx.provider.title} returned without a code")
    return Secret(code)


def callback_error(ctx: FlowContext, error: str, description: str) -> KeyfobError:
    """The error for an authorization response's `error`."""
    title = ctx.provider.title
    words = (f"{title} sent the browser back", plain(error, 100), plain(description))
    detail = ": ".join(part for part in words if part)
    match error:
        case "access_denied" | "user_cancelled":
            return SignInEnded(f"You declined access at {title}", code="declined", detail=detail)
        case "consent_required" | "interaction_required" | "login_required":
            return SignInEnded(f"{title} did not allow access", code="declined", detail=detail)
        case "temporarily_unavailable" | "server_error":
            return Transient(f"{title} is not available right now", detail=detail, answered=True)
        case "invalid_scope":
            return SettingWrong(f"{title} does not accept the scopes", code="scope_refused", detail=detail)
        case "unauthorized_client" | "invalid_client":
            return SettingWrong(
                f"{title} does not accept this app registration", code="client_refused", detail=detail
            )
    return PeerFault(f"{title} refused the sign-in", detail=detail)
