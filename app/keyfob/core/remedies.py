"""What to do, for somebody at a terminal: a command in place of each button or page of the window that a remedy names.

Used by the commands and by the agent, whose clients are commands, scripts and other people's tools.
"""

from __future__ import annotations

from keyfob.core.errors import CODES

_AGAIN = "Sign in again with `keyfob reconnect`."
_HOURLY = f"{_AGAIN} Until then, Keyfob tries again once an hour."

# Each code whose remedy in `core.errors.CODES` names something of the window.
REMEDIES = {
    "grant_ended": _AGAIN,
    "token_expired": "Sign in again with `keyfob reconnect`. The provider does not let Keyfob renew this token.",
    "renewal_refused": _HOURLY,
    "renewal_unanswered": _HOURLY,
    "token_rejected": "Sign in again with `keyfob reconnect`, or enter a new key.",
    "disconnected": "Run `keyfob reconnect`.",
    "signed_in_elsewhere": _AGAIN,
    "preset_changed": "Sign in again with `keyfob reconnect`. The provider's addresses changed, and Keyfob does not send your old token to a new address.",
    "grant_missing": "Sign in again with `keyfob reconnect`. The keychain no longer contains this account's tokens.",
    "imported": "Sign in once with `keyfob reconnect` to finish importing this account.",
    "keychain_not_set_up": "Run `keyfob doctor` in a terminal on your desktopand choose a password for the keychain.",
    "entry_damaged": _AGAIN,
    "answer_lost": "Try again later, or sign in again with `keyfob reconnect`.",
    "port_taken": "Close the program that uses the port, or set another callback port: "
    "`keyfob settings set callback_port 9877`.",
    "consent_refused": "Allow the program in Keyfob's window, or turn off this check: `keyfob settings set named_app_consent off`.",
}
# An error may have a remedy of its own, which says more than its code's; that one stays.
_BY_REMEDY = {CODES[code].remedy: here for code, here in REMEDIES.items()}


def in_terminal(remedy: str) -> str:
    """The remedy to show in a terminal. Pure."""
    return _BY_REMEDY.get(remedy, remedy)
