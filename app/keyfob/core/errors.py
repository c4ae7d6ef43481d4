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
    "internal": CodeInfo(_B, "Run `keyfob doctor` and report this problem with its output."),
    "store_damaged": CodeInfo(
        _F, "Run `keyfob doctor --recover` to restore your accounts from the keychain."
    ),
    "store_too_new": CodeInfo(_F, "Install the newer version of Keyfob that you used before."),
    "store_unwritable": CodeInfo(
        _F, "Free some disk space, and make sure that Keyfob can write to its data folder."
    ),
    "store_busy": CodeInfo(_R, "Wait a moment and try again."),
    # Usage
    "usage": CodeInfo(_F, "See `keyfob --help`."),
    "account_ambiguous": CodeInfo(_F, "Use an account's full id."),
    "label_taken": CodeInfo(_F, "Choose another label."),
    # SignInNeeded
    "grant_ended": CodeInfo(_S, "Sign in again with Reconnect."),
    "token_expired": CodeInfo(
        _S, "Sign in again with Reconnect. The provider does not let Keyfob renew this token."
    ),
    "renewal_refused": CodeInfo(
        _S, "Sign in again with Reconnect. Until then, Keyfob tries again once an hour."
    ),
    "renewal_unanswered": CodeInfo(
        _S, "Sign in again with Reconnect. Until then, Keyfob tries again once an hour."
    ),
    "token_rejected": CodeInfo(_S, "Sign in again with Reconnect, or enter a new key."),
    "disconnected": CodeInfo(_S, "Press Reconnect, or run `keyfob reconnect`."),
    "signed_in_elsewhere": CodeInfo(_S, "Sign in again with Reconnect."),
    "preset_changed": CodeInfo(
        _S,
        "Sign in again with Reconnect. The provider's addresses changed, and Keyfob does not send your old token to a new address.",
    ),
    "grant_missing": CodeInfo(
        _S, "Sign in again with Reconnect. The keychain no longer contains this account's tokens."
    ),
    "imported": CodeInfo(_S, "Sign in once with Reconnect to finish importing this account."),
    # KeychainError
    "keychain_locked": CodeInfo(_U, "Unlock your keychain and try again."),
    "keychain_absent": CodeInfo(
        _U,
        "Install and start a keychain (GNOME Keyring, KWallet, KeePassXC), "
        "or keep your tokens in an encrypted file: `keyfob settings set vault sealed`.",
    ),
    "keychain_not_set_up": CodeInfo(
        _U,
        "Press Set up in Keyfob's window, or run `keyfob doctor` in a terminal on your desktopand choose a password for the keychain.",
    ),
    "keychain_timeout": CodeInfo(_U, "Look for a keychain prompt, answer it, and try again."),
    "keychain_refused": CodeInfo(_U, "Allow Keyfob to use your keychain and try again."),
    "keychain_plaintext": CodeInfo(
        _F, "Your keyring settings name a backend that saves plain text. Remove it from them and try again."
    ),
    "keychain_write_lost": CodeInfo(_U, "Make sure that the keychain has free space and try again."),
    "entry_damaged": CodeInfo(_S, "Sign in again with Reconnect."),
    "passphrase_wrong": CodeInfo(_U, "Try again with the passphrase that you chose for the encrypted file."),
    "vault_damaged": CodeInfo(
        _B, "Restore the file from a backup, or move it away and sign in to your accounts again."
    ),
    "vault_unwritable": CodeInfo(
        _F, "Free some disk space, and make sure that Keyfob can write to its data folder."
    ),
    # Transient
    "network_unreachable": CodeInfo(_R, "Check your internet connection and try again."),
    "provider_unavailable": CodeInfo(_R, "Wait a few minutes and try again."),
    "request_refused": CodeInfo(
        _R, "Try again in a few minutes. If the problem continues, ask the provider."
    ),
    "rate_limited": CodeInfo(_R, "Wait a few minutes and try again."),
    "asked_to_wait": CodeInfo(_R, "Keyfob then tries again automatically."),
    "answer_lost": CodeInfo(_R, "Try again later, or sign in again with Reconnect."),
    "network_timeout": CodeInfo(_R, "Check your internet connection and try again."),
    "captive_portal": CodeInfo(_R, "Sign in to this network first, then try again."),
    "busy": CodeInfo(_R, "Another program is renewing this account. Try again in a moment."),
    "interrupted": CodeInfo(_R, "Try again."),
    # SignInEnded
    "declined": CodeInfo(_R, "Start again and allow access."),
    "cancelled": CodeInfo(_R, "Start again when you are ready."),
    "timed_out": CodeInfo(_R, "Start again, and finish signing in before the time is up."),
    "code_expired": CodeInfo(_R, "Start again to get a new code."),
    "start_again": CodeInfo(_R, "Start the sign-in again. Keyfob was closed before it finished."),
    # NotFound
    "account_not_found": CodeInfo(_F, "To list your accounts, run `keyfob accounts`."),
    "provider_not_found": CodeInfo(_F, "To list the providers, run `keyfob providers list`."),
    "sign_in_not_found": CodeInfo(_F, "Start a new sign-in."),
    "permission_not_found": CodeInfo(_F, "To list the permissions, run `keyfob permissions`."),
    "import_not_found": CodeInfo(_F, "Give a file, or one of the stores that `keyfob import` lists."),
    "key_not_found": CodeInfo(
        _F, "To list the keys, run `keyfob jwk list`. To create one, run `keyfob jwk generate`."
    ),
    # SettingWrong
    "port_taken": CodeInfo(
        _F, "Close the program that uses the port, or set another callback port in Settings."
    ),
    "client_refused": CodeInfo(_F, "Check the client id and the client secret of your app registration."),
    "client_missing": CodeInfo(_F, "Register an app at the provider and enter its client id."),
    "preset_faulty": CodeInfo(
        _F, "Correct the preset. To list its errors, run `keyfob providers check FILE`."
    ),
    "setting_faulty": CodeInfo(_F, "Correct or remove the setting."),
    "blocked_by_terms": CodeInfo(_F, "Use another sign-in method, or your own app registration."),
    "sharing_not_allowed": CodeInfo(
        _F,
        "Use `keyfob request` for this account. The provider's terms do not let other tools use the token.",
    ),
    "consent_refused": CodeInfo(_F, "When Keyfob's window asks, allow the program."),
    "method_not_offered": CodeInfo(_F, "Choose one of the methods that this provider offers."),
    "tls_untrusted": CodeInfo(
        _F,
        "Check the address and your clock. On a company network, set SSL_CERT_FILE to the company's certificate authority.",
    ),
    "import_unknown": CodeInfo(_F, "To see what can be imported, run `keyfob import --help`."),
    "host_not_allowed": CodeInfo(_F, "Use an address of the provider's API."),
    "browser_failed": CodeInfo(_F, "Choose a default browser, or copy the link into a browser."),
    "endpoint_unsafe": CodeInfo(_F, "Correct the provider's address. It must begin with https."),
    "scope_refused": CodeInfo(_F, "Correct the scopes in the preset."),
    "pkce_unsupported": CodeInfo(_F, "Ask the provider to support PKCE with S256."),
    # PeerFault
    "protocol_violation": CodeInfo(_B, "Try again. If the problem continues, report it to the provider."),
    "state_mismatch": CodeInfo(_B, "Start the sign-in again in one browser window."),
    "issuer_mismatch": CodeInfo(_B, "Check the provider's address. Another server answered."),
    "metadata_invalid": CodeInfo(
        _B, "Check the provider's address. If it is correct, report the problem to the provider."
    ),
    "id_token_invalid": CodeInfo(_B, "Try again. If the problem continues, report it to the provider."),
    "subject_mismatch": CodeInfo(
        _S, "Sign in as the person that this account belongs to, or connect the other account as a new one."
    ),
    "identity_invalid": CodeInfo(_B, "Check the handle or address, and try again."),
    "registration_changed": CodeInfo(_B, "Register an app at the provider and enter its client id."),
    "response_invalid": CodeInfo(_R, "Try again. If the problem continues, report it to the provider."),
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
