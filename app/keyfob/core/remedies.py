"""What to do, for somebody at a terminal: a command in place of each button or page of the window that a remedy names.

Used by the commands and by the agent, whose clients are commands, scripts and other people's tools.
"""

from __future__ import annotations

from keyfob.core.errors import CODES

_AGAIN = "Sign in again with `keyfob reconnect`."
_HOURLY = f"{_AGAIN} Until then Keyfob tries once an hour."

# Each code whose remedy in `core.errors.CODES` names something of the window.
REMEDIES = {
    "grant_ended": _AGAIN,
    "token_expired": "Sign in again with `keyfob reconnect`: the provider gave no way to renew by itself.",
    "renewal_refused": _HOURLY,
    "renewal_unanswered": _HOURLY,
    "token_rejected": "Sign in again with `keyfob reconnect`, or enter a new key.",
    "disconnected": "Run `keyfob reconnect`.",
    "signed_in_elsewhere": _AGAIN,
    "preset_changed": "Sign in again with `keyfob reconnect`: the provider's addresses changed, and no stored token is "
    "sent to new ones.",
    "grant_missing": "Sign in again with `keyfob reconnect`: the keychain no longer holds this account's tokens.",
    "imported": "Sign in once with `keyfob reconnect` to finish moving this account here.",
    "keychain_absent": "Install and start a keychain (GNOME Keyring, KWallet, KeePassXC), "
    "or use the sealed vault: `keyfob settings set vault sealed` (docs/agent.md).",
    "keychain_not_set_up": "Run `keyfob doctor` in a terminal on your desktop: "
    "a prompt asks for the keychain's new password.",
    "entry_damaged": _AGAIN,
    "answer_lost": "Try again then, or sign in again with `keyfob reconnect`.",
    "port_taken": "Close the program that holds the port, or set another callback port: "
    "`keyfob settings set callback_port 9877`.",
    "consent_refused": "Allow the program in Keyfob's window when it asks, see `keyfob permissions`, "
    "or stop asking with `keyfob settings set named_app_consent off`.",
}
# An error may have a remedy of its own, which says more than its code's; that one stays.
_BY_REMEDY = {CODES[code].remedy: here for code, here in REMEDIES.items()}


def in_terminal(remedy: str) -> str:
    """The remedy to show in a terminal. Pure."""
    return _BY_REMEDY.get(remedy, remedy)
