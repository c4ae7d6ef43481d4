"""What to do about each error, for somebody at the window.

A sentence may name a button or a page of the window. `agent.remedies` has the words for terminals.
"""

from keyfob.core.account import AccountView
from keyfob.core.errors import KeyfobError
from keyfob.core.facts import Remedies, filled

REMEDIES: Remedies = {
    # Fault
    "internal": "Try again. If it happens again, report this problem.",
    "store_damaged": "Press Restore accounts, which lists your accounts again from the keychain.",
    "store_too_new": "Install the newer version of Keyfob that you used before.",
    "store_unwritable": "Free some disk space, and make sure that Keyfob can write to its data folder.",
    "store_busy": "Wait a moment and try again.",
    "store_unreachable": "Check that PostgreSQL runs and that KEYFOB_DATABASE_URL names it, then try again.",
    "home_id_damaged": "Restore this file from a backup. Without it, Keyfob cannot find your tokens in the "
    "keychain.",
    "check_failed": "Report this problem.",
    "agent_too_new": "Update Keyfob on this computer.",
    "update_broken": "The running version is unchanged. Report it to the publisher.",
    # Usage
    "usage": "Check what you entered and try again.",
    "account_empty": "Choose an account.",
    "account_ambiguous": "Choose one of the accounts.",
    "label_taken": "Choose another label.",
    "program_taken": "Choose another name.",
    "label_wrong": "Use a-z, 0-9, '.', '_', '@' and '-'[, for example {example}].",
    "not_renewable": "Sign in again when the token expires. Until then, you can use it.",
    "not_testable": "Use it with one of your tools to see whether it works.",
    "paste_wrong": "Copy the full address or code from the browser, and nothing else.",
    "header_reserved": "Leave it out.",
    "no_single_header": "Use it with a program that knows where the provider expects it.",
    "key_signs_requests": "Use it with AWS tools.",
    "key_missing": "Enter the key and try again.",
    "key_unfit": "Copy the key again from the provider's page.[ {hint}.]",
    "plain_http": "Use an https address[, or connect to {server} without encryption in the form].",
    "plain_host_unfit": "Use an https address, or the server's address on your network.",
    "access_unknown": "Choose one of the provider's[: {offered}].",
    "input_missing": "Fill it in[, for example {example}].",
    "method_differs": "Use this account's own method, or connect it as a new account.",
    "server_differs": "Connect the account[ at {server}] as a new one.",
    "secret_malformed": "Copy it again from the provider's page, without quotes or other characters around "
    "it.",
    "preset_id_wrong": "Use lower-case letters, digits and hyphens.",
    "preset_exists": "Choose another id[, or edit {path}].",
    "secret_not_used": "Leave out the secret.",
    "client_id_missing": "Enter the client id of your app registration.",
    "server_missing": "Enter the address of the server.",
    "key_in_use": "First sign in to these accounts with another key.",
    "key_with_loopback": "For a public client, remove the provider's keys. A confidential client is a server "
    "with a public address.",
    "import_read_only": "Connect the account with Keyfob, which then uses a separate sign-in.",
    "import_provider_missing": "Connect the account, and enter its key there.",
    "role_unknown": "Choose another role.",
    "role_ambiguous": "Choose one of them.",
    "tool_unverified": "Update it again, and confirm that you accept this.",
    "nexus_address_wrong": "Copy the address of the mod's page from the browser.",
    "nxm_link_wrong": "Click Mod Manager Download on the page of the mod again.",
    "file_ambiguous": "Choose a file on the mod's page.",
    # SignInNeeded
    "grant_ended": "Sign in again with Reconnect.",
    "token_expired": "Sign in again with Reconnect. The provider does not let Keyfob renew this token.",
    "renewal_refused": "Sign in again with Reconnect. Until then, Keyfob tries again once an hour.",
    "renewal_unanswered": "Sign in again with Reconnect. Until then, Keyfob tries again once an hour.",
    "token_rejected": "Sign in again with Reconnect.",
    "key_rejected": "Enter a new one with Reconnect.",
    "disconnected": "Press Reconnect.",
    "preset_changed": "Sign in again with Reconnect. The provider's addresses changed, and Keyfob does not "
    "send your old token to a new address.",
    "id_token_expired": "Sign in again. The access token still works.",
    "grant_missing": "Sign in again with Reconnect. The keychain no longer contains this account's tokens.",
    "imported": "Sign in once with Reconnect to finish importing this account.",
    "key_refused": "Check the key, and enter it again.",
    # KeychainError
    "keychain_locked": "Unlock your keychain and try again.",
    "keychain_absent": "Install and start a keychain (GNOME Keyring, KWallet, KeePassXC). Or choose "
    "an encrypted file in Settings.",
    "keychain_not_set_up": "Press Set up, and choose a password for the keychain.",
    "keychain_timeout": "Look for a keychain prompt, answer it, and try again.",
    "keychain_refused": "Allow Keyfob to use your keychain and try again.",
    "keychain_plaintext": "Your keyring settings name a backend that saves plain text. Remove it from them "
    "and try again.",
    "keychain_write_lost": "Make sure that the keychain has free space and try again.",
    "entry_damaged": "Sign in again with Reconnect.",
    "passphrase_wrong": "Try again with the passphrase that you chose for the encrypted file.",
    "vault_damaged": "Restore the file from a backup, or move it away and sign in to your accounts again.",
    "vault_unwritable": "Free some disk space, and make sure that Keyfob can write to its data folder.",
    "keychain_withheld": "Unlock the keychain, and allow all entries in the prompt.",
    "keychain_no_session": "Start Keyfob from your desktop.",
    "keychain_off": "Remove this[ from {path}] and try again.",
    "passphrase_needed": "Press Unlock, and enter the passphrase.",
    "passphrases_differ": "Try again.",
    "argon2_missing": "Install Keyfob with its own cryptography package.",
    "pass_missing": "Install pass, the password store.",
    "pass_not_set_up": "Create the password store first.",
    "agent_locked": "Unlock it so that your tools get tokens again.",
    "master_key_missing": "Set KEYFOB_MASTER_KEY_FILE or KEYFOB_MASTER_KEY_COMMAND on the server.",
    "master_key_wrong": "Give this server the master keys of the others: nothing in the database is lost.",
    "master_key_exposed": "Let its owner alone read the file[: chmod 600 {path}].",
    "vault_unreachable": "Check that PostgreSQL runs and that KEYFOB_DATABASE_URL names it, then try again.",
    # Transient
    "network_unreachable": "Check your internet connection and try again.",
    "provider_unavailable": "Wait a few minutes and try again.",
    "request_refused": "Try again in a few minutes. If the problem continues, ask the provider.",
    "rate_limited": "Wait a few minutes and try again.",
    "asked_to_wait": "Keyfob then tries again automatically.",
    "answer_lost": "Try again later, or sign in again with Reconnect.",
    "network_timeout": "Check your internet connection and try again.",
    "captive_portal": "Sign in to this network first, then try again.",
    "busy": "Another program is renewing this account. Try again in a moment.",
    "interrupted": "Try again.",
    "questions_waiting": "Answer the questions in Keyfob's window, then try again.",
    "still_renewing": "Try again in a minute.",
    "refused_together": "Test again in a few minutes. If a key is not valid any more, enter a new one with "
    "Reconnect.",
    "keyfob_running": "Stop Keyfob's agent, then try again.",
    "agent_silent": "End this process, or restart this computer.",
    "nxm_link_expired": "Click Mod Manager Download on the mod's page again.",
    "nxm_link_needed": "Click Mod Manager Download on the mod's page.",
    "bot_check": "Wait a few minutes and try again. A VPN or proxy can be the reason.",
    "download_running": "Wait until it has finished, or stop it.",
    "feed_limited": "Try again then. A connected GitHub account may ask more often.",
    "update_running": "Wait until it has finished, then try again.",
    # SignInEnded
    "declined": "Start again and allow access.",
    "cancelled": "Start again when you are ready.",
    "timed_out": "Start again, and finish signing in before the time is up.",
    "code_expired": "Start again to get a new code.",
    "start_again": "Start the sign-in again. Keyfob was closed before it finished.",
    # NotFound
    "account_not_found": "Choose an account from the list.",
    "provider_not_found": "Choose a provider from the list.",
    "sign_in_not_found": "Start a new sign-in.",
    "permission_not_found": "Look at the list of programs in Settings.",
    "import_not_found": "Choose a file that exists.",
    "key_not_found": "Choose one of your keys.",
    "caller_not_found": "Choose one of the keys or users of the gateway.",
    "account_elsewhere": "Use Keyfob on that machine.",
    "agent_not_running": "Keep Keyfob open. It does the same work as the agent.",
    "nexus_not_found": "Check the address.",
    "nexus_signed_out": "Connect your account of Nexus Mods.",
    "download_not_found": "It may be finished or cancelled already.",
    "feed_not_found": "Check the address of the releases.",
    "tool_not_found": "Choose a tool from the list.",
    "tool_not_installed": "Install it first.",
    # SettingWrong
    "port_taken": "Close the program that uses the port, or set another callback port in Settings.",
    "client_refused": "Check the app registration at the provider: its client id, its client secret and its "
    "redirect URI, and whether it is active.",
    "client_missing": "Register an app at the provider[ ({page})][ with the redirect {redirect}], and enter "
    "its client id.",
    "preset_faulty": "Correct the preset[ {path}].",
    "preset_newer": "The account keeps what it was signed in with. To use what is new, choose Sign in again "
    "in its menu.",
    "caller_keys_old": "Replace an old key, and end an unused one.",
    "preset_absent": "Copy the preset's file into the folder providers of the server's settings.",
    "preset_differs": "Use the same preset on this computer and on the server.",
    "setting_faulty": "Correct or remove the setting.",
    "blocked_by_terms": "See the provider's terms[: {page}].",
    "sharing_not_allowed": "The provider's terms do not let other tools use this token.",
    "consent_refused": "Allow the program when Keyfob asks, or turn off this check in Settings.",
    "method_not_offered": "Choose one of the methods that this provider offers.",
    "tls_untrusted": "Check the address and your clock. On a company network, set SSL_CERT_FILE to the "
    "company's certificate authority.",
    "import_unknown": "Choose another file.",
    "host_not_allowed": "Use an address of the provider's API[: {hosts}].",
    "browser_failed": "Choose a default browser, or copy the link into a browser.",
    "endpoint_unsafe": "Correct the provider's address. It must begin with https, and it may not lead to "
    "this computer or its network.",
    "scope_refused": "Correct the scopes in the preset.",
    "pkce_unsupported": "Ask the provider to support PKCE with S256.",
    "fixed_port_taken": "Close the program that uses the port, then try again.",
    "gateway_port_taken": "Close the program that uses the port, or choose another port.",
    "gateway_not_installed": "Install it with pip install 'keyfob[gateway]', then start Keyfob again.",
    "client_key_missing": "Create a key. The private half stays in your keychain, and the provider gets "
    "the public half.",
    "options_faulty": "Correct what you entered and try again.",
    "id_token_missing": "If the provider supports OpenID Connect, reconnect with the scope openid.",
    "openid_needed": "In the preset, request the scope openid, and set the source of [identity] to id_token.",
    "settings_unreadable": "Make the file[ {path}] readable, or move it away to use the default settings.",
    "settings_file_faulty": "Correct the file[ {path}], or move it away to use the default settings.",
    "file_unwritable": "Free some disk space, and make sure that Keyfob can write to the folder.",
    "not_all_removed": "Correct what is said above, then try again.",
    "file_changed": "Try again.",
    "file_linked": "Remove the keys from the file, or remove the hard link.",
    "keys_overlap": "Remove the keys from the file.",
    "autostart_unwritable": "Make the folder[ {path}] writable, or change this in your desktop's settings.",
    "desktop_entry_taken": "Look at the file[ {path}]. If you do not need it, remove it and try again.",
    "desktop_entry_unwritable": "Make the folder[ {path}] writable, and try again.",
    "home_unusable": "Set KEYFOB_HOME to a folder that you own, or change the folder's owner.",
    "socket_unusable": "Set KEYFOB_SOCK to a short path in a folder that only you can write to.",
    "proxy_unsupported": "Set HTTPS_PROXY to an http:// or https:// address, or name the host in NO_PROXY.",
    "ca_file_faulty": "Correct SSL_CERT_FILE, or unset it.",
    "ca_missing": "Install ca-certificates.",
    "clock_wrong": "Correct this computer's clock.",
    "browser_setting_wrong": "Correct $BROWSER.",
    "no_screen": "Sign in by device code.",
    "tray_missing": "Install a tray extension, or keep the window open.",
    "demo_missing": "Install Keyfob with its extra demo.",
    "jq_missing": "Install Keyfob with its extra jq.",
    "setup_changed": "To set it up again, press Repair in Check everything.",
    "service_unavailable": "Keep Keyfob open. It does the same work as the agent.",
    "helper_missing": "Install Keyfob again, or undo the tool's setup.",
    "access_lacking": "To ask for it, press Ask for more on the page of the account.",
    "nxm_link_of_another": "Sign in to the site as the member whose account is connected here, and click the "
    "button again. Or connect that account too.",
    "mod_hidden": "Look at the mod's page for the reason. Its author or the site's staff can show it again.",
    "links_taken": "Confirm that Keyfob may open these links.",
    "links_unsupported": "Copy the link of the button, and paste it into Keyfob.",
    "disk_full": "Free some disk space[ on the disk with {path}], then try again.",
    "tool_file_faulty": "Correct the file[ {path}], or remove it.",
    "tool_managed": "Update it in the way that you installed it[: {command}].",
    "tool_not_installable": "Update it as its publisher says[: {command}].",
    "update_source_missing": "Get a newer version from where you got Keyfob.",
    "update_managed": "Use your package manager[: {command}].",
    "database_pooled": "Connect to PostgreSQL directly, or set pool_mode = session in PgBouncer.",
    # PeerFault
    "protocol_violation": "Try again. If the problem continues, report it to the provider.",
    "state_mismatch": "Start the sign-in again in one browser window.",
    "issuer_mismatch": "Check the provider's address. Another server answered.",
    "metadata_invalid": "Check the provider's address. If it is correct, report the problem to the provider.",
    "resource_mismatch": "Check the address.[ If {server} is the same server, use that address instead.]",
    "id_token_invalid": "Try again. If the problem continues, report it to the provider.",
    "subject_mismatch": "Your browser may still be signed in as somebody else: sign out there, then sign in "
    "as the person that this account belongs to. Or connect the other account as a new one.",
    "identity_invalid": "Check the handle or address, and try again.",
    "registration_changed": "Register an app at the provider and enter its client id.",
    "response_invalid": "Try again. If the problem continues, report it to the provider.",
    "file_unlisted": "Download it again. If that does not help, the site may not list new files yet, and you "
    "can keep the file.",
    "download_wrong": "Try again. If the problem continues, report it to the publisher of the file.",
    "download_elsewhere": "Keyfob downloaded nothing from there. Report it to the publisher of the file.",
    "tool_broken": "Try again later. If the problem continues, report it to the tool's publisher.",
    "archive_unusable": "Try again later. If the problem continues, report it to the tool's publisher.",
    "release_unreadable": "Try again later. If the problem continues, report it to the tool's publisher.",
    "update_untrusted": "Nothing was changed. If the problem continues, report it to the publisher.",
    "update_expired": "Check the date and time of this computer. If they are right, try again later.",
}


def remedy(error: KeyfobError) -> str:
    """What to do about it."""
    return error.remedy_in(REMEDIES)


def of_account(view: AccountView) -> str:
    """What to do about the account's last error; empty if there was none."""
    return filled(REMEDIES[view.last_error.code], {"account": view.id}) if view.last_error else ""


def sentence(error: KeyfobError) -> str:
    """What happened, then what to do."""
    return error.sentence(REMEDIES)
