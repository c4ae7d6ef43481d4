"""`keyfob token` without an agent, when the token is in the keychain and valid: it is handed out as it is.

Called by `__main__` before the command line is loaded. The engine costs a quarter of a second to import, most
of it to be able to renew. This reads what the engine wrote: the rule next to the account's row
(`adapters/store/token_rule.py`) says whether the token may be handed out and in which header, and the grant
in the keychain says how long it lives. Nothing is checked or renewed here. For anything else (no such
account, a sign-in that ended, a token too old, a preset that changed, a renewal whose answer was lost,
another vault) it returns None and the engine does it, with its locks and its words.

If many commands find one old token, they go on to the engine one at a time, and who waited looks again first.
Must hand out nothing that the engine would not.
"""

from __future__ import annotations

import os
import sys

from keyfob.process.own_process import print_result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from keyfob.core.errors import KeyfobError
    from keyfob.service.accounts.grant_store import GrantStore, Stored

QUEUE_MOST = 45.0  # seconds: longer than one renewal's deadline of 30 s with its saving
QUEUE_LOOK = 0.025  # seconds between looks
_HEX = "0123456789abcdef"


class _Account:
    """An account whose token may be handed out here. `locks`: the folder of the locks."""

    def __init__(self, key: str, rule: Mapping[str, Any], home_id: str, locks: str) -> None:
        self.key, self.rule, self.home_id, self.locks = key, rule, home_id, locks


def token_without_engine(arguments: Sequence[str]) -> int | None:
    """The exit code of `keyfob token`, or None if the engine has to do it. A keychain that is locked, absent
    or hangs is reported at once, in the engine's words.
    """
    from keyfob.client.fast_token import asked_for

    asked = asked_for(arguments)
    if asked is None:
        return None
    ref, min_life, accept = asked
    try:
        account = _find(ref)
    except Exception:  # whatever is wrong here, the engine finds it too, and has words for it
        return None
    if account is None:
        return None
    from keyfob.core.errors import KeychainError, Transient

    grants = _grants(account.home_id)
    try:
        stored = grants.newest(account.key)
        if stored is not None and not _serves(stored, min_life):
            renewed = _after_others(ref, account, grants, stored)
            if renewed is None:
                return None
            account, stored = renewed
    except KeychainError as error:
        if error.code == "entry_damaged":
            return None  # the engine writes that down as the grant's end
        from keyfob.process.terminal import ASKABLE, can_ask

        if error.code in ASKABLE and can_ask():
            grants.close()
            return None  # the engine has the user unlock it
        return _fail(error, accept)
    except KeyboardInterrupt:
        return _fail(Transient("Interrupted", code="interrupted"), accept)
    except Exception:
        return None
    text = None if stored is None else _answer(account.rule, stored, accept)
    if text is None:
        return None
    # If the output cannot be written, the engine's way says why.
    return 0 if print_result(text.encode() + b"\n") else None


def _fail(error: KeyfobError, accept: str) -> int:
    from keyfob.cli.failure import report

    return report(error, as_json=accept not in ("text/plain", "text/x-keyfob-header"))


# --- the account --------------------------------------------------------------------------------------------


def _find(ref: str) -> _Account | None:
    """The account, if its token may be handed out here. Raises OSError, ValueError, SettingWrong and more."""
    from keyfob.adapters.store import token_rule
    from keyfob.process import paths
    from keyfob.process.team_accounts import team_database

    if team_database(os.environ) is not None:
        return None  # the accounts are not in this computer's store
    where = paths.folders(os.environ)
    for folder in (where["data"], where["config"], where["state"]):
        found = os.stat(folder)
        if hasattr(os, "geteuid") and (found.st_uid != os.geteuid() or found.st_mode & 0o077):
            return None  # the engine repairs it
    with open(os.path.join(where["data"], "home-id"), "rb") as file:
        home_id = file.read(64).decode("ascii").strip()
    if len(home_id) != 32 or any(char not in _HEX for char in home_id):
        return None
    if not _uses_keychain(os.path.join(where["config"], "settings.json")):
        return None
    row = token_rule.find(os.path.join(where["data"], "accounts.db"), ref)
    if row is None:
        return None
    key, rule, sent = row
    locks = os.path.join(where["state"], "locks")
    if sent and not _is_renewed(locks, key):
        return None  # the answer to a renewal may be lost: the engine asks for it again, at once
    return _Account(key, rule, home_id, locks)


def _uses_keychain(path: str) -> bool:
    """Whether the settings name the system's keychain. Raises
    SettingWrong for a faulty file: the engine says what is wrong with it.
    """
    import json

    try:
        with open(path, "rb") as file:
            settings = json.loads(file.read())
    except FileNotFoundError:
        return True
    from keyfob.core.settings import Settings

    return Settings.from_mapping(settings).vault == "keychain"


def _is_renewed(locks: str, key: str) -> bool:
    """Whether a process is renewing the account now: then what was sent is answered to that one."""
    from pathlib import Path

    from keyfob.adapters.store.file_locks import FileLocks
    from keyfob.service.accounts.grant_store import lock_name

    return FileLocks(Path(locks)).held(lock_name(key))


# --- the grant ----------------------------------------------------------------------------------------------


def _grants(home_id: str) -> GrantStore:
    """The account's grant as the engine reads it, from the keychain, with a command's deadline."""
    from keyfob.adapters.vault.deadline import DEADLINE, PROMPT_DEADLINE, DeadlineVault
    from keyfob.adapters.vault.system import SystemVault
    from keyfob.service.accounts.grant_store import GrantStore

    deadline = PROMPT_DEADLINE if sys.platform == "darwin" else DEADLINE  # macOS asks automatically
    return GrantStore(DeadlineVault(SystemVault(home_id), deadline))


def _after_others(
    ref: str, account: _Account, grants: GrantStore, stale: Stored
) -> tuple[_Account, Stored] | None:
    """Waits for the commands that found this old token before, then looks again: to load the engine 64 times
    takes a minute, to wait for the first takes what a renewal does. The account's own lock is the engine's;
    this one only keeps the queue, until the process ends. Raises KeychainError.
    """
    import time

    try:
        import fcntl
    except ImportError:
        return None  # Windows: everybody to the engine
    try:
        queue = os.open(
            os.path.join(account.locks, f"asking-{account.key}.lock"), os.O_RDWR | os.O_CREAT, 0o600
        )
    except OSError:
        return None
    until, waited = time.monotonic() + QUEUE_MOST, False
    while True:
        try:
            fcntl.flock(queue, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except OSError:
            if time.monotonic() > until:
                return None
            waited = True
            time.sleep(QUEUE_LOOK)
    found = _find(ref) if waited else None
    newest = grants.newest(account.key) if found is not None else None
    # As in the keeper: who waited for somebody else's renewal takes its result, whatever life was asked for.
    if (
        found is None
        or newest is None
        or newest.grant.generation <= stale.grant.generation
        or not _serves(newest, "0")
    ):
        return None
    os.close(queue)
    return found, newest


def _serves(stored: Stored, asked: str) -> bool:
    from datetime import UTC, datetime, timedelta

    from keyfob.core.min_life import ASKED_MOST
    from keyfob.core.renewal import serves

    if asked and int(asked) > ASKED_MOST:
        return False  # the engine says that this is a mistake
    return serves(stored.grant, datetime.now(UTC), timedelta(seconds=int(asked)) if asked else None)


def _answer(rule: Mapping[str, Any], stored: Stored, accept: str) -> str | None:
    """The line, or the document, to print; None if making the header takes the engine."""
    grant = stored.grant
    match accept:
        case "text/plain":
            return grant.access.reveal()
        case "text/x-keyfob-header":
            header, text = rule["headers"].get(grant.token_type), grant.access.reveal()
            # With a colon, it may be a key pair that no header carries.
            return None if header is None or ":" in text else header + text
    import json

    from keyfob.core.times import to_rfc3339

    document = {
        "account": rule["account"],
        "token": grant.access.reveal(),
        "token_type": grant.token_type,
        "expires_at": to_rfc3339(grant.expires_at),
        "scopes": list(grant.scopes),
    }
    return json.dumps(document, indent=2, ensure_ascii=False)
