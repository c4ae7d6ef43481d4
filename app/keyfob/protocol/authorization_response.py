"""What an authorization response says (RFC 6749 §4.1.2), once the listener has found it to be this attempt's.

Called by the flows that wait for one. The description in an error is a stranger's text: it is shown in brackets, made
plain, and decides nothing.
"""

from __future__ import annotations

from keyfob.core.errors import KeyfobError, PeerFault, SettingWrong, SignInEnded, Transient
from keyfob.core.secret import Secret
from keyfob.core.text import plain
from keyfob.core.wire import Callback
from keyfob.protocol.plan import Plan


def code_in(callback: Callback, plan: Plan) -> Secret:
    """The code of an authorization response. Raises the error that an error response stands for (RFC 6749 §4.1.2.1)."""
    error = callback.params.get("error")
    if error is not None:
        raise callback_error(plan, error, callback.params.get("error_description", ""))
    code = callback.params.get("code")
    if not code:
        raise PeerFault(f"{plan.provider.title} sent the browser back without a code")
    return Secret(code)


def callback_error(plan: Plan, error: str, description: str) -> KeyfobError:
    """The error that an authorization response's `error` stands for."""
    title = plan.provider.title
    words = ": ".join(w for w in (plain(error, 100), plain(description)) if w)
    said = f"(it says: {words})"
    match error:
        case (
            "access_denied"
            | "consent_required"
            | "interaction_required"
            | "login_required"
            | "user_cancelled"
        ):
            return SignInEnded(f"Access was not allowed at {title} {said}", code="declined")
        case "temporarily_unavailable" | "server_error":
            return Transient(f"{title} cannot sign anybody in just now {said}", answered=True)
        case "invalid_scope":
            return SettingWrong(f"{title} refuses the scopes {said}", code="scope_refused")
        case "unauthorized_client" | "invalid_client":
            return SettingWrong(f"{title} refuses this client {said}", code="client_refused")
    return PeerFault(f"{title} refused the sign-in {said}")
