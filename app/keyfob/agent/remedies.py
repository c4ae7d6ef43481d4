"""What to do about each error, for somebody at a terminal.

For the commands, and for the agent's socket, whose clients are commands, scripts and other tools. A sentence
may name a command and never a button or a page of the window. `desktop.shared.remedies` has the window's
words.
"""

from collections.abc import Mapping

REMEDIES: Mapping[str, str] = {
    # Fault
    "internal": "Run `keyfob doctor` and report this problem with its output.",
    "store_damaged": "Run `keyfob doctor --recover` to restore your accounts from the keychain.",
    "store_too_new": "Install the newer version of Keyfob that you used before.",
    "store_unwritable": "Free some disk space, and make sure that Keyfob can write to its data folder.",
    "store_busy": "Wait a moment and try again.",
    # Usage
    "usage": "See `keyfob --help`.",
    "account_ambiguous": "Use an account's full id.",
    "label_taken": "Choose another label.",
    # SignInNeeded
    "grant_ended": "Sign in again with `keyfob reconnect`.",
    "token_expired": "Sign in again with `keyfob reconnect`. The provider does not let Keyfob renew this "
    "token.",
    "renewal_refused": "Sign in again with `keyfob reconnect`. Until then, Keyfob tries again once an hour.",
    "renewal_unanswered": "Sign in again with `keyfob reconnect`. Until then, Keyfob tries again once an "
    "hour.",
    "token_rejected": "Sign in again with `keyfob reconnect`, or enter a new key.",
    "disconnected": "Run `keyfob reconnect`.",
    "signed_in_elsewhere": "Sign in again with `keyfob reconnect`.",
    "preset_changed": "Sign in again with `keyfob reconnect`. The provider's addresses changed, and Keyfob "
    "does not send your old token to a new address.",
    "grant_missing": "Sign in again with `keyfob reconnect`. The keychain no longer contains this account's "
    "tokens.",
    "imported": "Sign in once with `keyfob reconnect` to finish importing this account.",
    # KeychainError
    "keychain_locked": "Unlock your keychain and try again.",
    "keychain_absent": "Install and start a keychain (GNOME Keyring, KWallet, KeePassXC), or keep your "
    "tokens in an encrypted file: `keyfob settings set vault sealed`.",
    "keychain_not_set_up": "Run `keyfob doctor` in a terminal on your desktop, and choose a password for the "
    "keychain.",
    "keychain_timeout": "Look for a keychain prompt, answer it, and try again.",
    "keychain_refused": "Allow Keyfob to use your keychain and try again.",
    "keychain_plaintext": "Your keyring settings name a backend that saves plain text. Remove it from them "
    "and try again.",
    "keychain_write_lost": "Make sure that the keychain has free space and try again.",
    "entry_damaged": "Sign in again with `keyfob reconnect`.",
    "passphrase_wrong": "Try again with the passphrase that you chose for the encrypted file.",
    "vault_damaged": "Restore the file from a backup, or move it away and sign in to your accounts again.",
    "vault_unwritable": "Free some disk space, and make sure that Keyfob can write to its data folder.",
    # Transient
    "network_unreachable": "Check your internet connection and try again.",
    "provider_unavailable": "Wait a few minutes and try again.",
    "request_refused": "Try again in a few minutes. If the problem continues, ask the provider.",
    "rate_limited": "Wait a few minutes and try again.",
    "asked_to_wait": "Keyfob then tries again automatically.",
    "answer_lost": "Try again later, or sign in again with `keyfob reconnect`.",
    "network_timeout": "Check your internet connection and try again.",
    "captive_portal": "Sign in to this network first, then try again.",
    "busy": "Another program is renewing this account. Try again in a moment.",
    "interrupted": "Try again.",
    # SignInEnded
    "declined": "Start again and allow access.",
    "cancelled": "Start again when you are ready.",
    "timed_out": "Start again, and finish signing in before the time is up.",
    "code_expired": "Start again to get a new code.",
    "start_again": "Start the sign-in again. Keyfob was closed before it finished.",
    # NotFound
    "account_not_found": "To list your accounts, run `keyfob accounts`.",
    "provider_not_found": "To list the providers, run `keyfob providers list`.",
    "sign_in_not_found": "Start a new sign-in.",
    "permission_not_found": "To list the permissions, run `keyfob permissions`.",
    "import_not_found": "Give a file, or one of the stores that `keyfob import` lists.",
    "key_not_found": "To list the keys, run `keyfob jwk list`. To create one, run `keyfob jwk generate`.",
    # SettingWrong
    "port_taken": "Close the program that uses the port, or set another callback port: `keyfob settings set "
    "callback_port 9877`.",
    "client_refused": "Check the client id and the client secret of your app registration.",
    "client_missing": "Register an app at the provider and enter its client id.",
    "preset_faulty": "Correct the preset. To list its errors, run `keyfob providers check FILE`.",
    "setting_faulty": "Correct or remove the setting.",
    "blocked_by_terms": "Use another sign-in method, or your own app registration.",
    "sharing_not_allowed": "Use `keyfob request` for this account. The provider's terms do not let other "
    "tools use the token.",
    "consent_refused": "Allow the program in Keyfob's window, or turn off this check: `keyfob settings set "
    "named_app_consent off`.",
    "method_not_offered": "Choose one of the methods that this provider offers.",
    "tls_untrusted": "Check the address and your clock. On a company network, set SSL_CERT_FILE to the "
    "company's certificate authority.",
    "import_unknown": "To see what can be imported, run `keyfob import --help`.",
    "host_not_allowed": "Use an address of the provider's API.",
    "browser_failed": "Choose a default browser, or copy the link into a browser.",
    "endpoint_unsafe": "Correct the provider's address. It must begin with https.",
    "scope_refused": "Correct the scopes in the preset.",
    "pkce_unsupported": "Ask the provider to support PKCE with S256.",
    # PeerFault
    "protocol_violation": "Try again. If the problem continues, report it to the provider.",
    "state_mismatch": "Start the sign-in again in one browser window.",
    "issuer_mismatch": "Check the provider's address. Another server answered.",
    "metadata_invalid": "Check the provider's address. If it is correct, report the problem to the provider.",
    "id_token_invalid": "Try again. If the problem continues, report it to the provider.",
    "subject_mismatch": "Sign in as the person that this account belongs to, or connect the other account "
    "as a new one.",
    "identity_invalid": "Check the handle or address, and try again.",
    "registration_changed": "Register an app at the provider and enter its client id.",
    "response_invalid": "Try again. If the problem continues, report it to the provider.",
}
