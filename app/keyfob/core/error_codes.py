"""The codes of all errors, and what each advises. An error's class says which exit it has (`core.errors`).

JSON output, the socket and the store use these words, so a word never changes its meaning. Another version
may know other codes: what is read from outside goes through `known_code`.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal


class Advice(StrEnum):
    """What the user should do about an error. Tools may rely on the words."""

    RETRY = "retry"
    SIGN_IN_AGAIN = "sign_in_again"
    UNLOCK_KEYCHAIN = "unlock_keychain"
    FIX_SETTING = "fix_setting"
    REPORT = "report"


# In the order of the classes in `core.errors`.
ErrorCode = Literal[
    # Fault
    "internal",
    "store_damaged",
    "store_too_new",
    "store_unwritable",
    "store_busy",
    "home_id_damaged",
    "check_failed",
    "agent_too_new",
    # Usage
    "usage",
    "account_ambiguous",
    "label_taken",
    "label_wrong",
    "not_renewable",
    "paste_wrong",
    "header_reserved",
    "key_missing",
    "input_missing",
    "method_differs",
    "server_differs",
    "secret_malformed",
    "preset_id_wrong",
    "preset_exists",
    "secret_not_used",
    "client_id_missing",
    "server_missing",
    "key_in_use",
    "key_with_loopback",
    "import_read_only",
    "import_provider_missing",
    # SignInNeeded
    "grant_ended",
    "token_expired",
    "renewal_refused",
    "renewal_unanswered",
    "token_rejected",
    "disconnected",
    "preset_changed",
    "grant_missing",
    "imported",
    "key_refused",
    # KeychainError
    "keychain_locked",
    "keychain_absent",
    "keychain_not_set_up",
    "keychain_timeout",
    "keychain_refused",
    "keychain_plaintext",
    "keychain_write_lost",
    "entry_damaged",
    "passphrase_wrong",
    "vault_damaged",
    "vault_unwritable",
    "keychain_withheld",
    "keychain_no_session",
    "keychain_off",
    "passphrase_needed",
    "passphrases_differ",
    "argon2_missing",
    "pass_missing",
    "pass_not_set_up",
    # Transient
    "network_unreachable",
    "provider_unavailable",
    "request_refused",
    "rate_limited",
    "asked_to_wait",
    "answer_lost",
    "network_timeout",
    "captive_portal",
    "busy",
    "interrupted",
    "questions_waiting",
    "still_renewing",
    "keyfob_running",
    # SignInEnded
    "declined",
    "cancelled",
    "timed_out",
    "code_expired",
    "start_again",
    # NotFound
    "account_not_found",
    "provider_not_found",
    "sign_in_not_found",
    "permission_not_found",
    "import_not_found",
    "key_not_found",
    # SettingWrong
    "port_taken",
    "client_refused",
    "client_missing",
    "preset_faulty",
    "setting_faulty",
    "blocked_by_terms",
    "sharing_not_allowed",
    "consent_refused",
    "method_not_offered",
    "tls_untrusted",
    "import_unknown",
    "host_not_allowed",
    "browser_failed",
    "endpoint_unsafe",
    "scope_refused",
    "pkce_unsupported",
    "fixed_port_taken",
    "client_key_missing",
    "options_faulty",
    "openid_needed",
    "settings_unreadable",
    "settings_file_faulty",
    "file_unwritable",
    "file_changed",
    "file_linked",
    "keys_overlap",
    "autostart_unwritable",
    "home_unusable",
    "socket_unusable",
    "proxy_unsupported",
    "ca_file_faulty",
    "ca_missing",
    "clock_wrong",
    "browser_setting_wrong",
    "no_screen",
    "tray_missing",
    "demo_missing",
    "setup_changed",
    # PeerFault
    "protocol_violation",
    "state_mismatch",
    "issuer_mismatch",
    "metadata_invalid",
    "id_token_invalid",
    "subject_mismatch",
    "identity_invalid",
    "registration_changed",
    "response_invalid",
]

_R, _S, _U, _F, _B = (
    Advice.RETRY,
    Advice.SIGN_IN_AGAIN,
    Advice.UNLOCK_KEYCHAIN,
    Advice.FIX_SETTING,
    Advice.REPORT,
)

CODES: Mapping[ErrorCode, Advice] = {
    # Fault
    "internal": _B,
    "store_damaged": _F,
    "store_too_new": _F,
    "store_unwritable": _F,
    "store_busy": _R,
    "home_id_damaged": _F,
    "check_failed": _B,
    "agent_too_new": _F,
    # Usage
    "usage": _F,
    "account_ambiguous": _F,
    "label_taken": _F,
    "label_wrong": _F,
    "not_renewable": _F,
    "paste_wrong": _F,
    "header_reserved": _F,
    "key_missing": _F,
    "input_missing": _F,
    "method_differs": _F,
    "server_differs": _F,
    "secret_malformed": _F,
    "preset_id_wrong": _F,
    "preset_exists": _F,
    "secret_not_used": _F,
    "client_id_missing": _F,
    "server_missing": _F,
    "key_in_use": _F,
    "key_with_loopback": _F,
    "import_read_only": _F,
    "import_provider_missing": _F,
    # SignInNeeded
    "grant_ended": _S,
    "token_expired": _S,
    "renewal_refused": _S,
    "renewal_unanswered": _S,
    "token_rejected": _S,
    "disconnected": _S,
    "preset_changed": _S,
    "grant_missing": _S,
    "imported": _S,
    "key_refused": _F,
    # KeychainError
    "keychain_locked": _U,
    "keychain_absent": _U,
    "keychain_not_set_up": _U,
    "keychain_timeout": _U,
    "keychain_refused": _U,
    "keychain_plaintext": _F,
    "keychain_write_lost": _U,
    "entry_damaged": _S,
    "passphrase_wrong": _U,
    "vault_damaged": _B,
    "vault_unwritable": _F,
    "keychain_withheld": _U,
    "keychain_no_session": _U,
    "keychain_off": _U,
    "passphrase_needed": _U,
    "passphrases_differ": _U,
    "argon2_missing": _U,
    "pass_missing": _U,
    "pass_not_set_up": _U,
    # Transient
    "network_unreachable": _R,
    "provider_unavailable": _R,
    "request_refused": _R,
    "rate_limited": _R,
    "asked_to_wait": _R,
    "answer_lost": _R,
    "network_timeout": _R,
    "captive_portal": _R,
    "busy": _R,
    "interrupted": _R,
    "questions_waiting": _R,
    "still_renewing": _R,
    "keyfob_running": _R,
    # SignInEnded
    "declined": _R,
    "cancelled": _R,
    "timed_out": _R,
    "code_expired": _R,
    "start_again": _R,
    # NotFound
    "account_not_found": _F,
    "provider_not_found": _F,
    "sign_in_not_found": _F,
    "permission_not_found": _F,
    "import_not_found": _F,
    "key_not_found": _F,
    # SettingWrong
    "port_taken": _F,
    "client_refused": _F,
    "client_missing": _F,
    "preset_faulty": _F,
    "setting_faulty": _F,
    "blocked_by_terms": _F,
    "sharing_not_allowed": _F,
    "consent_refused": _F,
    "method_not_offered": _F,
    "tls_untrusted": _F,
    "import_unknown": _F,
    "host_not_allowed": _F,
    "browser_failed": _F,
    "endpoint_unsafe": _F,
    "scope_refused": _F,
    "pkce_unsupported": _F,
    "fixed_port_taken": _F,
    "client_key_missing": _F,
    "options_faulty": _F,
    "openid_needed": _F,
    "settings_unreadable": _F,
    "settings_file_faulty": _F,
    "file_unwritable": _F,
    "file_changed": _R,
    "file_linked": _F,
    "keys_overlap": _F,
    "autostart_unwritable": _F,
    "home_unusable": _F,
    "socket_unusable": _F,
    "proxy_unsupported": _F,
    "ca_file_faulty": _F,
    "ca_missing": _F,
    "clock_wrong": _F,
    "browser_setting_wrong": _F,
    "no_screen": _F,
    "tray_missing": _F,
    "demo_missing": _F,
    "setup_changed": _F,
    # PeerFault
    "protocol_violation": _B,
    "state_mismatch": _B,
    "issuer_mismatch": _B,
    "metadata_invalid": _B,
    "id_token_invalid": _B,
    "subject_mismatch": _S,
    "identity_invalid": _B,
    "registration_changed": _B,
    "response_invalid": _R,
}

_NEAREST: Mapping[Advice, ErrorCode] = {
    Advice.RETRY: "provider_unavailable",
    Advice.SIGN_IN_AGAIN: "grant_ended",
    Advice.UNLOCK_KEYCHAIN: "keychain_refused",
    Advice.FIX_SETTING: "setting_faulty",
    Advice.REPORT: "internal",
}


def code_or_none(code: object) -> ErrorCode | None:
    """`code`, if this version knows it."""
    return next((word for word in CODES if word == code), None)


def known_code(code: object, advice: object) -> ErrorCode:
    """`code` as this version knows it. For a code of another version: one that has the same advice, and
    `internal` if the advice is unknown too.
    """
    nearest = next((word for each, word in _NEAREST.items() if each == advice), None)
    return code_or_none(code) or nearest or "internal"
