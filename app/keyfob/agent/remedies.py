"""What to do about each error, for somebody at a terminal.

For the commands, and for the agent's socket, whose clients are commands, scripts and other tools. A sentence
may name a command and never a button or a page of the window. `desktop.shared.remedies` has the window's
words.
"""

from keyfob.core.facts import Remedies

REMEDIES: Remedies = {
    # Fault
    "internal": "Run `keyfob doctor` and report this problem with its output.",
    "store_damaged": "Run `keyfob doctor --recover` to restore your accounts from the keychain.",
    "store_too_new": "Install the newer version of Keyfob that you used before.",
    "store_unwritable": "Free some disk space, and make sure that Keyfob can write to its data folder.",
    "store_busy": "Wait a moment and try again.",
    "store_unreachable": "Check that PostgreSQL runs and that KEYFOB_DATABASE_URL names it, then try again.",
    "home_id_damaged": "Restore this file from a backup. Without it, Keyfob cannot find your tokens in the "
    "keychain.",
    "check_failed": "Report this problem with the output of `keyfob doctor`.",
    "agent_too_new": "Update Keyfob on this computer.",
    "update_broken": "The running version is unchanged. Report it to the publisher.",
    # Usage
    "usage": "See `keyfob --help`.",
    "account_empty": "To list your accounts, run `keyfob accounts`.",
    "account_ambiguous": "Use an account's full id.",
    "label_taken": "Choose another label.",
    "program_taken": "Choose another name.",
    "label_wrong": "Use a-z, 0-9, '.', '_', '@' and '-'[, for example {example}].",
    "not_renewable": "Sign in again when the token expires. Until then, you can use it.",
    "not_testable": "Use it with one of your tools to see whether it works.",
    "paste_wrong": "Copy the full address or code from the browser, and nothing else.",
    "header_reserved": "Leave it out.",
    "no_single_header": "Use `keyfob request[ {account}]`, which puts it in the right places.",
    "key_signs_requests": "Give it to AWS tools with `keyfob wire aws[ {account}]`.",
    "key_missing": "Enter the key and try again.",
    "key_unfit": "Copy the key again from the provider's page.[ {hint}.]",
    "plain_http": "Use an https address.[ If you accept the risk, add --allow-http {server}.]",
    "plain_host_unfit": "Use an https address, or the server's address on your network.",
    "access_unknown": "Choose one of the provider's[: {offered}].",
    "input_missing": "Give it[ with `--input {name}=…`][, for example {example}].",
    "method_differs": "To change the method, run `keyfob reconnect[ {account}] --method[ {method}]`.",
    "server_differs": "Connect the account[ at {server}] as a new one.",
    "secret_malformed": "Copy it again from the provider's page, without quotes or other characters around "
    "it.",
    "preset_id_wrong": "Use lower-case letters, digits and hyphens.",
    "preset_exists": "To replace it, add --replace.[ Or edit {path}.]",
    "secret_not_used": "Leave out the secret, or choose another --client-auth.",
    "client_id_missing": "Add --client-id, or --register if the server allows it.",
    "server_missing": "Add --issuer, or add each endpoint.",
    "key_in_use": "First sign in to these accounts with another key, or add --force.",
    "key_with_loopback": "For a public client, remove the provider's keys with `keyfob jwk remove`. A "
    "confidential client is a server: `keyfob serve --public-url https://…` hosts its own document.",
    "import_read_only": "Connect the account with Keyfob, which then uses a separate sign-in.",
    "import_provider_missing": "Add --provider ID.",
    "role_unknown": "List your roles with `keyfob credential aws-roles[ {account}]`.",
    "role_ambiguous": "Choose one with --account-id and --role. To list them, run `keyfob credential "
    "aws-roles[ {account}]`.",
    "tool_unverified": "If you accept that, add --unverified.",
    "nexus_address_wrong": "Copy the address of the mod's page, or write GAME/ID, for example "
    "skyrimspecialedition/266.",
    "nxm_link_wrong": "Copy the link of the button Mod Manager Download again, and put it between quotes.",
    "file_ambiguous": "Choose one with --file[: {offered}].",
    # SignInNeeded
    "grant_ended": "Sign in again with `keyfob reconnect[ {account}]`.",
    "token_expired": "Sign in again with `keyfob reconnect[ {account}]`. The provider does not let Keyfob "
    "renew this token.",
    "renewal_refused": "Sign in again with `keyfob reconnect[ {account}]`. Until then, Keyfob tries again "
    "once an hour.",
    "renewal_unanswered": "Sign in again with `keyfob reconnect[ {account}]`. Until then, Keyfob tries again "
    "once an hour.",
    "token_rejected": "Sign in again with `keyfob reconnect[ {account}]`, or enter a new key.",
    "key_rejected": "Enter a new one with `keyfob reconnect[ {account}]`.",
    "disconnected": "Run `keyfob reconnect[ {account}]`.",
    "preset_changed": "Sign in again with `keyfob reconnect[ {account}]`. The provider's addresses changed, "
    "and Keyfob does not send your old token to a new address.",
    "id_token_expired": "Sign in again with `keyfob reconnect[ {account}]`. The access token still works.",
    "grant_missing": "Sign in again with `keyfob reconnect[ {account}]`. The keychain no longer contains "
    "this account's tokens.",
    "imported": "Sign in once with `keyfob reconnect[ {account}]` to finish importing this account.",
    "key_refused": "Check the key, and enter it again.",
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
    "entry_damaged": "Sign in again with `keyfob reconnect[ {account}]`.",
    "passphrase_wrong": "Try again with the passphrase that you chose for the encrypted file.",
    "vault_damaged": "Restore the file from a backup, or move it away and sign in to your accounts again.",
    "vault_unwritable": "Free some disk space, and make sure that Keyfob can write to its data folder.",
    "keychain_withheld": "Unlock the keychain, and allow all entries in the prompt.",
    "keychain_no_session": "Start Keyfob from your desktop, or with `dbus-run-session`.",
    "keychain_off": "Remove this[ from {path}] and try again.",
    "passphrase_needed": "Start `keyfob agent` in a terminal: it asks once, and then all commands work. Or "
    "pass the passphrase in KEYFOB_PASSPHRASE_FD or the systemd credential keyfob-passphrase.",
    "passphrases_differ": "Try again.",
    "argon2_missing": "Install Keyfob with its own cryptography package, or use the keychain: `keyfob "
    "settings set vault keychain`.",
    "pass_missing": "Install pass, or use the keychain: `keyfob settings set vault keychain`.",
    "pass_not_set_up": "Create it with `pass init`, or use the keychain: `keyfob settings set vault "
    "keychain`.",
    "agent_locked": "To unlock it, run `keyfob agent --unlock`.",
    "master_key_missing": "Set KEYFOB_MASTER_KEY_FILE or KEYFOB_MASTER_KEY_COMMAND, or make a master key "
    "with `keyfob gateway master-key new`.",
    "master_key_wrong": "Give this server the master keys of the others: nothing in the database is lost.",
    "master_key_exposed": "Let its owner alone read the file[: chmod 600 {path}].",
    "vault_unreachable": "Check that PostgreSQL runs and that KEYFOB_DATABASE_URL names it, then try again.",
    # Transient
    "network_unreachable": "Check your internet connection and try again.",
    "provider_unavailable": "Wait a few minutes and try again.",
    "request_refused": "Try again in a few minutes. If the problem continues, ask the provider.",
    "rate_limited": "Wait a few minutes and try again.",
    "asked_to_wait": "Keyfob then tries again automatically.",
    "answer_lost": "Try again later, or sign in again with `keyfob reconnect[ {account}]`.",
    "network_timeout": "Check your internet connection and try again.",
    "captive_portal": "Sign in to this network first, then try again.",
    "busy": "Another program is renewing this account. Try again in a moment.",
    "interrupted": "Try again.",
    "questions_waiting": "Answer the questions in Keyfob's window, then try again.",
    "still_renewing": "Try again in a minute.",
    "refused_together": "Test again in a few minutes. If a key is not valid any more, enter a new one with "
    "`keyfob reconnect[ {account}]`.",
    "keyfob_running": "Quit the app or stop the agent, then run this again.",
    "agent_silent": "Commands work without it. If this continues, end it[ with `kill -9 {pid}`], and start "
    "it again.",
    "nxm_link_expired": "Click Mod Manager Download again[ on {page}].",
    "nxm_link_needed": "Click Mod Manager Download[ on {page}], then run `keyfob nexus open 'LINK'`. After "
    "`keyfob nexus links on`, the button does this.",
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
    "account_not_found": "To list your accounts, run `keyfob accounts`.",
    "provider_not_found": "To list the providers, run `keyfob providers list`.",
    "sign_in_not_found": "Start a new sign-in.",
    "permission_not_found": "To list the permissions, run `keyfob permissions`.",
    "import_not_found": "Give a file, or one of the stores that `keyfob import` lists.",
    "key_not_found": "To list the keys, run `keyfob jwk list`. To create one, run `keyfob jwk generate`.",
    "caller_not_found": "To list them, run `keyfob keys list`, `keyfob users list` or `keyfob grants list`.",
    "account_elsewhere": "Run this command on that machine.",
    "agent_not_running": "To start it, run `keyfob agent`.",
    "nexus_not_found": "Check it on the site. `keyfob nexus games --all` lists the games, `keyfob nexus "
    "files` the files of a mod.",
    "nexus_signed_out": "Run `keyfob connect nexusmods`. Keyfob then shows which of your mods have newer "
    "files and what is trending, and downloads files.",
    "download_not_found": "To list the downloads, run `keyfob nexus downloads`.",
    "feed_not_found": "Check the address of the releases.",
    "tool_not_found": "To list the tools, run `keyfob tools list`.[ To add one, put its file into {path}.]",
    "tool_not_installed": "To install it, run `keyfob tools update[ {name}] --install`.",
    # SettingWrong
    "port_taken": "Close the program that uses the port, or set another callback port: `keyfob settings set "
    "callback_port 9877`.",
    "client_refused": "Check the app registration at the provider: its client id, its client secret and its "
    "redirect URI, and whether it is active.",
    "client_missing": "Register an app at the provider[ ({page})][ with the redirect {redirect}], and enter "
    "its client id.",
    "preset_faulty": "Correct the preset. To list its errors, run `keyfob providers check FILE`.",
    "preset_newer": "The account keeps what it was signed in with.[ To use what is new, run `{command}`.]",
    "caller_keys_old": "To see them, run `keyfob keys list`. Replace an old key with `keyfob keys rotate`, "
    "and end an unused one with `keyfob keys revoke`.",
    "preset_absent": "Copy the preset's file into the folder `providers` of the server's settings.",
    "preset_differs": "Use the same preset on this computer and on the server.",
    "setting_faulty": "Correct or remove the setting.",
    "blocked_by_terms": "See the provider's terms[: {page}].",
    "sharing_not_allowed": "Use `keyfob request` for this account. The provider's terms do not let other "
    "tools use the token.",
    "consent_refused": "Allow the program in Keyfob's window[ or with `keyfob permissions --allow {name} "
    "{account}`]. To turn off this check, run `keyfob settings set "
    "named_app_consent off`.",
    "method_not_offered": "Choose one of the methods that this provider offers.",
    "tls_untrusted": "Check the address and your clock. On a company network, set SSL_CERT_FILE to the "
    "company's certificate authority.",
    "import_unknown": "To see what can be imported, run `keyfob import --help`.",
    "host_not_allowed": "Use an address of the provider's API[: {hosts}].",
    "browser_failed": "Choose a default browser, or copy the link into a browser.",
    "endpoint_unsafe": "Correct the provider's address. It must begin with https, and it may not lead to "
    "this computer or its network.",
    "scope_refused": "Correct the scopes in the preset.",
    "pkce_unsupported": "Ask the provider to support PKCE with S256.",
    "fixed_port_taken": "Close the program that uses the port, then try again.",
    "gateway_port_taken": "Close the program that uses the port, or use another port: `keyfob settings set "
    "gateway_port 2027`.",
    "gateway_not_installed": "Run `pip install 'keyfob[gateway]'`.",
    "client_key_missing": "To create one, run `keyfob jwk generate[ --provider {provider}]`.",
    "options_faulty": "Correct the options and try again.",
    "id_token_missing": "If the provider supports OpenID Connect, run `keyfob reconnect[ {account}] --scope "
    "openid`.",
    "openid_needed": "In the preset, request the scope openid, and set the source of [identity] to id_token.",
    "settings_unreadable": "Make the file[ {path}] readable, or move it away to use the default settings.",
    "settings_file_faulty": "Correct the file[ {path}], or move it away to use the default settings.",
    "file_unwritable": "Free some disk space, and make sure that Keyfob can write to the folder.",
    "not_all_removed": "Correct what is said above, then run this again.",
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
    "no_screen": "Sign in with --no-browser, or by device code.",
    "tray_missing": "Install a tray extension, or keep the window open.",
    "demo_missing": "Install it: pip install 'keyfob[demo]' (or: uv tool install 'keyfob[demo]', pipx "
    "install 'keyfob[demo]').",
    "jq_missing": "Install it: pip install 'keyfob[jq]' (or: uv tool install 'keyfob[jq]', pipx "
    "install 'keyfob[jq]').",
    "setup_changed": "To set it up again, run `keyfob wire[ {name}]`.",
    "service_unavailable": "Start the agent yourself with `keyfob agent`.",
    "helper_missing": "Add the folder of the keyfob command to PATH, or run `keyfob wire[ {name}]` again.",
    "access_lacking": "Ask for it[: run `keyfob reconnect {account} --access {access}`].",
    "nxm_link_of_another": "Sign in to the site as the member whose account is connected here, and click the "
    "button again. Or connect that account too.",
    "mod_hidden": "Look at the mod's page for the reason. Its author or the site's staff can show it again.",
    "links_taken": "To give the links to Keyfob, add --yes.",
    "links_unsupported": "Copy the link of the button, and run `keyfob nexus open 'LINK'`.",
    "disk_full": "Free some disk space[ on the disk with {path}], then try again.",
    "tool_file_faulty": "Correct the file[ {path}], or remove it.",
    "tool_managed": "Update it in the way that you installed it[: run `{command}`].",
    "tool_not_installable": "Update it as its publisher says[: run `{command}`].",
    "update_source_missing": "Get a newer version from where you got Keyfob.",
    "update_managed": "Use your package manager[: run `{command}`].",
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
    "file_unlisted": "Download it again with `keyfob nexus downloads resume`. If that does not help, the "
    "site may not list new files yet: keep it with `keyfob nexus downloads keep`.",
    "download_wrong": "Try again. If the problem continues, report it to the publisher of the file.",
    "download_elsewhere": "Keyfob downloaded nothing from there. Report it to the publisher of the file.",
    "tool_broken": "Try again later. If the problem continues, report it to the tool's publisher.",
    "archive_unusable": "Try again later. If the problem continues, report it to the tool's publisher.",
    "release_unreadable": "Try again later. If the problem continues, report it to the tool's publisher.",
    "update_untrusted": "Nothing was changed. If the problem continues, report it to the publisher.",
    "update_expired": "Check the date and time of this computer. If they are right, try again later.",
}
