"""Every way Keyfob can fail, each with a code, an advice and a remedy.

    KeyfobError
    ├── Fault               exit 1  a bug of ours
    ├── Usage               exit 2  the request itself makes no sense
    ├── SignInNeeded        exit 3  the grant has ended, or the account is disconnected
    ├── KeychainError       exit 4  the keychain is locked, absent, slow or refused
    ├── Transient           exit 5  may pass: network, provider busy or down, someone else holds the lock
    ├── SignInEnded         exit 6  declined, cancelled or timed out while signing in
    ├── NotFound            exit 7  no such account or provider
    ├── SettingWrong        exit 8  port taken, client refused, preset faulty, terms forbid it
    └── PeerFault           exit 9  the peer broke the protocol

A class says how the caller should treat it; the `code` says which of the class's cases it is. `CODES` is the
one table from code to advice and remedy; faces map advice to words, buttons and HTTP status.
Messages never contain a secret and never text from a peer that has not been through `core.text.plain`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from enum import StrEnum
from typing import ClassVar


class Advice(StrEnum):
    RETRY = "retry"
    SIGN_IN_AGAIN = "sign_in_again"
    UNLOCK_KEYCHAIN = "unlock_keychain"
    FIX_SETTING = "fix_setting"
    REPORT = "report"


@dataclass(frozen=True, slots=True)
class CodeInfo:
    advice: Advice
    remedy: str  # one sentence, imperative, ends with a full stop


_R, _S, _U, _F, _B = (
    Advice.RETRY,
    Advice.SIGN_IN_AGAIN,
    Advice.UNLOCK_KEYCHAIN,
    Advice.FIX_SETTING,
    Advice.REPORT,
)

CODES: dict[str, CodeInfo] = {
    # Fault
    "internal": CodeInfo(_B, "Run `keyfob doctor` and report this with what it prints."),
    "store_damaged": CodeInfo(
        _F, "Run `keyfob doctor --recover`: it lists your accounts again from the keychain."
    ),
    "store_too_new": CodeInfo(_F, "Install the newer Keyfob that wrote this data folder."),
    "store_unwritable": CodeInfo(
        _F, "Free some disk space, and check that Keyfob's data folder can be written."
    ),
    "store_busy": CodeInfo(_R, "Wait a moment and try again."),
    # Usage
    "usage": CodeInfo(_F, "See `keyfob --help`."),
    "account_ambiguous": CodeInfo(_F, "Name one of the accounts in full."),
    "label_taken": CodeInfo(_F, "Choose another label."),
    # SignInNeeded
    "grant_ended": CodeInfo(_S, "Sign in again with Reconnect."),
    "token_expired": CodeInfo(
        _S, "Sign in again with Reconnect: the provider gave no way to renew by itself."
    ),
    "renewal_refused": CodeInfo(_S, "Sign in again with Reconnect. Until then Keyfob tries once an hour."),
    "renewal_unanswered": CodeInfo(_S, "Sign in again with Reconnect. Until then Keyfob tries once an hour."),
    "token_rejected": CodeInfo(_S, "Sign in again with Reconnect, or enter a new key."),
    "disconnected": CodeInfo(_S, "Press Reconnect, or run `keyfob reconnect`."),
    "signed_in_elsewhere": CodeInfo(_S, "Sign in again with Reconnect."),
    "preset_changed": CodeInfo(
        _S,
        "Sign in again with Reconnect: the provider's addresses changed, and no stored token is sent to new ones.",
    ),
    "grant_missing": CodeInfo(
        _S, "Sign in again with Reconnect: the keychain no longer holds this account's tokens."
    ),
    "imported": CodeInfo(_S, "Sign in once with Reconnect to finish moving this account here."),
    # KeychainError
    "keychain_locked": CodeInfo(_U, "Unlock your keychain and try again."),
    "keychain_absent": CodeInfo(
        _U,
        "Install and start a keychain (GNOME Keyring, KWallet, KeePassXC), "
        'or set "vault" in settings.json to "sealed" (docs/agent.md).',
    ),
    "keychain_not_set_up": CodeInfo(
        _U,
        "Press Set up in Keyfob's window, or run `keyfob doctor` in a terminal on your desktop: "
        "a prompt asks for the keychain's new password.",
    ),
    "keychain_timeout": CodeInfo(_U, "Look for a keychain prompt, answer it, and try again."),
    "keychain_refused": CodeInfo(_U, "Allow Keyfob to use your keychain and try again."),
    "keychain_plaintext": CodeInfo(
        _F, "Remove the plaintext keyring backend from your keyring settings and try again."
    ),
    "keychain_write_lost": CodeInfo(_U, "Check the keychain for free space and try again."),
    "entry_damaged": CodeInfo(_S, "Sign in again with Reconnect."),
    "passphrase_wrong": CodeInfo(_U, "Try again with the passphrase that the sealed vault was made with."),
    "vault_damaged": CodeInfo(
        _B, "Restore the vault's file from a backup, or move it away and sign in again."
    ),
    "vault_unwritable": CodeInfo(
        _F, "Free some disk space, and check that Keyfob's data folder can be written."
    ),
    # Transient
    "network_unreachable": CodeInfo(_R, "Check your internet connection and try again."),
    "provider_unavailable": CodeInfo(_R, "Wait a few minutes and try again."),
    "request_refused": CodeInfo(_R, "Try again in a few minutes; if it goes on, ask the provider why."),
    "rate_limited": CodeInfo(_R, "Wait as long as the provider asks and try again."),
    "asked_to_wait": CodeInfo(_R, "Keyfob tries again then."),
    "answer_lost": CodeInfo(_R, "Try again then, or sign in again with Reconnect."),
    "network_timeout": CodeInfo(_R, "Check your internet connection and try again."),
    "captive_portal": CodeInfo(_R, "Sign in to this network first, then try again."),
    "busy": CodeInfo(_R, "Another program is renewing this account; try again in a moment."),
    "interrupted": CodeInfo(_R, "Try again."),
    # SignInEnded
    "declined": CodeInfo(_R, "Start again and allow access."),
    "cancelled": CodeInfo(_R, "Start again when you are ready."),
    "timed_out": CodeInfo(_R, "Start again, and finish signing in before the time is up."),
    "code_expired": CodeInfo(_R, "Start again for a fresh code."),
    "start_again": CodeInfo(_R, "Start the sign-in again: Keyfob was closed while it was under way."),
    # NotFound
    "account_not_found": CodeInfo(_F, "See `keyfob accounts` for the ones there are."),
    "provider_not_found": CodeInfo(_F, "See `keyfob providers list` for the ones there are."),
    "sign_in_not_found": CodeInfo(_F, "Begin a new sign-in."),
    "permission_not_found": CodeInfo(_F, "See `keyfob permissions` for the ones there are."),
    "import_not_found": CodeInfo(_F, "Name a file, or one of the stores that `keyfob import` lists."),
    "key_not_found": CodeInfo(_F, "See `keyfob jwk list`, or make one with `keyfob jwk generate`."),
    # SettingWrong
    "port_taken": CodeInfo(
        _F, "Close the program that holds the port, or set another callback port in Settings."
    ),
    "client_refused": CodeInfo(_F, "Check the client id and secret of the app registration."),
    "client_missing": CodeInfo(_F, "Register an app with the provider and give Keyfob its client id."),
    "preset_faulty": CodeInfo(_F, "Correct the preset; `keyfob providers check FILE` names each fault."),
    "setting_faulty": CodeInfo(_F, "Correct or remove the setting."),
    "blocked_by_terms": CodeInfo(
        _F, "Use another method or your own app registration, as the provider's terms allow."
    ),
    "sharing_not_allowed": CodeInfo(
        _F, "Use `keyfob request` for this account: its terms let only Keyfob itself use the token."
    ),
    "consent_refused": CodeInfo(
        _F, "Allow the program in Keyfob's window when it asks, or see `keyfob permissions`."
    ),
    "method_not_offered": CodeInfo(_F, "Choose one of the methods this provider offers."),
    "tls_untrusted": CodeInfo(
        _F,
        "Check the address and your clock; on a company network, set SSL_CERT_FILE to its certificate authority.",
    ),
    "import_unknown": CodeInfo(_F, "See `keyfob import --help` for the files that can be imported."),
    "host_not_allowed": CodeInfo(_F, "Use an address of the provider's own API."),
    "browser_failed": CodeInfo(_F, "Set a default browser, or copy the link into one."),
    "endpoint_unsafe": CodeInfo(_F, "Correct the provider's address: it must be https."),
    "scope_refused": CodeInfo(_F, "Correct the scopes in the preset."),
    "pkce_unsupported": CodeInfo(_F, "Ask the provider to support PKCE with S256."),
    # PeerFault
    "protocol_violation": CodeInfo(_B, "Try again; if it stays, report it to the provider."),
    "state_mismatch": CodeInfo(_B, "Start the sign-in again in one browser window."),
    "issuer_mismatch": CodeInfo(_B, "Check the provider's address: another server answered for it."),
    "metadata_invalid": CodeInfo(_B, "Check the provider's address, and report it to the provider."),
    "id_token_invalid": CodeInfo(_B, "Try again; if it stays, report it to the provider."),
    "subject_mismatch": CodeInfo(
        _S, "Sign in as the person this account belongs to, or connect the other one as a new account."
    ),
    "identity_invalid": CodeInfo(_B, "Check the handle or address, and try again."),
    "registration_changed": CodeInfo(_B, "Register an app by hand and give Keyfob its client id."),
    "response_invalid": CodeInfo(_R, "Try again; if it stays, report it to the provider."),
}


class KeyfobError(Exception):
    """A failure that knows what to do about it.

    `message` is one plain sentence without its full stop's remedy; `remedy` defaults to the code's own.
    `detail` is for the copyable report: never secret. `retry_after` is what the provider asked for. `until` ends the
    sentence: a moment that each face shows in its own time zone.
    """

    exit_code: ClassVar[int] = 1
    default_code: ClassVar[str] = "internal"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        remedy: str | None = None,
        detail: str = "",
        retry_after: timedelta | None = None,
        until: datetime | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.remedy = remedy or CODES[self.code].remedy
        self.detail = detail
        self.retry_after = retry_after
        self.until = until

    @property
    def advice(self) -> Advice:
        return CODES[self.code].advice

    def told(self, zone: tzinfo | None = None) -> str:
        """What happened. A time is in `zone`, by default the system's own, with its day where that is another."""
        if self.until is None:
            return self.message
        local = self.until.astimezone(zone)
        far = (
            self.retry_after is not None
            and (self.until - self.retry_after).astimezone(zone).date() != local.date()
        )
        day = f"{local.day} {local:%B} " if far else ""
        return f"{self.message.rstrip('.')} until {day}{local:%H:%M:%S}"

    def sentence(self, zone: tzinfo | None = None) -> str:
        """What happened, then what to do: `message. remedy`."""
        return f"{self.told(zone).rstrip('.')}. {self.remedy}"


class Fault(KeyfobError):
    exit_code = 1
    default_code = "internal"


class Usage(KeyfobError):
    exit_code = 2
    default_code = "usage"


class SignInNeeded(KeyfobError):
    exit_code = 3
    default_code = "grant_ended"


class KeychainError(KeyfobError):
    exit_code = 4
    default_code = "keychain_refused"


class Transient(KeyfobError):
    """May pass. `sent` is False only where the request certainly never left this machine, and `answered` is
    True where a complete answer came back: between the two, a rotated token may have been lost on the way."""

    exit_code = 5
    default_code = "provider_unavailable"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        remedy: str | None = None,
        detail: str = "",
        retry_after: timedelta | None = None,
        until: datetime | None = None,
        sent: bool = True,
        answered: bool = False,
    ) -> None:
        super().__init__(
            message, code=code, remedy=remedy, detail=detail, retry_after=retry_after, until=until
        )
        self.sent = sent
        self.answered = answered


class SignInEnded(KeyfobError):
    exit_code = 6
    default_code = "cancelled"


class NotFound(KeyfobError):
    exit_code = 7
    default_code = "account_not_found"


class SettingWrong(KeyfobError):
    exit_code = 8
    default_code = "setting_faulty"


class PeerFault(KeyfobError):
    exit_code = 9
    default_code = "protocol_violation"
