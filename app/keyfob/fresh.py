"""The fast path of `keyfob token` without an agent: returns a fresh token that is already in the keychain.

`__main__` calls it before it loads the command line. It reads and never renews. If anything else is needed (an unknown
account, an ended sign-in, an old token, a renewal without an answer, another vault, a home that needs repair), it returns
None, and the whole program does the work with its locks and messages. So the keeper alone keeps every promise about
renewals. If many commands find the same old token, they go on to the engine one at a time, and each looks again first.

The engine takes a quarter of a second to import, mostly for the code that renews. This file imports only what reading
needs. The verdict on a preset (whether tools may have the token, and in which header) is cached in the home's state with the
files that it depends on, and is valid while none of them has changed. This path must never return a token that the engine
would not return.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from keyfob.service.accounts.grant_store import GrantStore, Stored

    _Found = tuple[Mapping[str, str], dict[str, Any], str]

SCHEMA = (
    2  # the account store's, as adapters/store/database.py makes it; any other is for the engine to judge
)
VERDICTS = "presets.json"
QUEUE_MOST = 45.0  # seconds: longer than one renewal's deadline of 30 s with its saving
QUEUE_LOOK = 0.025  # seconds between looks
LIFE_MOST = 86_400  # seconds, as the command's own option has it
SHAPES_MOST = 20  # kinds of rows of one provider: with an error or without, stale or not
SERVED = ("connected", "stale")
_HEX = "0123456789abcdef"


def fresh_token(arguments: Sequence[str]) -> int | None:
    """`keyfob token` if nothing needs renewing: its exit code, or None if the whole program has to do it. A
    keychain that is locked, absent or hangs is reported at once, in the same words."""
    from keyfob.client import asked_for

    asked = asked_for(arguments)
    if asked is None:
        return None
    ref, min_life, accept = asked
    try:
        found = _find(ref)
    except Exception:  # whatever is wrong here, the engine finds it too, and has words for it
        return None
    if found is None:
        return None
    where, row, home_id = found
    from keyfob.core.errors import KeychainError, Transient

    as_json = accept not in ("text/plain", "text/x-keyfob-header")
    grants = _grants(home_id)
    try:
        stored = grants.newest(row["account"]["key"])
        if stored is not None and not _serves(stored, min_life):
            found, stored = _after_others(ref, row["account"]["key"], where, grants, stored)
            if found is None:
                return None
            where, row, home_id = found
    except KeychainError as error:
        if error.code == "entry_damaged":
            return None  # the engine writes that down as the grant's end
        from keyfob.process.terminal import ASKABLE, can_ask

        if error.code in ASKABLE and can_ask():
            grants.close()
            return None  # the engine has the user unlock it
        from keyfob.cli.failure import tell

        return tell(error, as_json=as_json)
    except KeyboardInterrupt:
        from keyfob.cli.failure import tell

        return tell(Transient("Interrupted", code="interrupted"), as_json=as_json)
    except Exception:
        return None
    if stored is None:
        return None
    try:
        text = _told(row, stored, accept, where)
    except Exception:
        return None
    if text is None:
        return None
    os.write(1, text.encode() + b"\n")
    return 0


# --- the account ------------------------------------------------------------------------------------------------


def _find(ref: str) -> _Found | None:
    """The home's folders, the account's row as stored, and the home's id."""
    import json

    from keyfob.process import paths

    where = paths.folders(os.environ)
    for folder in (where["data"], where["config"], where["state"]):
        found = os.stat(folder)
        if hasattr(os, "geteuid") and (found.st_uid != os.geteuid() or found.st_mode & 0o077):
            return None
    with open(os.path.join(where["data"], "home-id"), "rb") as file:
        home_id = file.read(64).decode("ascii").strip()
    if len(home_id) != 32 or any(char not in _HEX for char in home_id):
        return None
    try:
        with open(os.path.join(where["config"], "settings.json"), "rb") as file:
            settings = json.loads(file.read())
    except FileNotFoundError:
        pass
    else:
        from keyfob.core.settings import Settings

        # Raises for a faulty file: the engine says what is wrong with it.
        if Settings.from_mapping(settings).vault != "keychain":
            return None
    found_row = _row(os.path.join(where["data"], "accounts.db"), ref)
    if found_row is None:
        return None
    text, sent = found_row
    row = json.loads(text)
    if row["status"]["is"] not in SERVED:
        return None
    if sent and not _is_renewed(where, row["account"]["key"]):
        return None  # the answer to a renewal may be lost: the engine asks for it again, at once
    row["text"] = text
    return where, row, home_id


def _is_renewed(where: Mapping[str, str], key: str) -> bool:
    """Whether a process is renewing the account now: then what was sent is answered to that one."""
    from pathlib import Path

    from keyfob.adapters.store.file_locks import FileLocks
    from keyfob.service.accounts.grant_store import lock_name

    return FileLocks(Path(where["state"]) / "locks").held(lock_name(key))


def _row(path: str, ref: str) -> tuple[str, bool] | None:
    """The account's record as stored, and whether a renewal of it was sent and its answer not yet saved."""
    import sqlite3
    from urllib.parse import quote

    provider, _, label = ref.partition("/")
    connection = sqlite3.connect(f"file:{quote(path)}?mode=ro", uri=True, timeout=2.0)
    try:
        if connection.execute("PRAGMA user_version").fetchone()[0] != SCHEMA:
            return None
        rows = connection.execute(
            "SELECT label, record, intent FROM accounts LEFT JOIN intents USING (key) WHERE provider = ?",
            (provider,),
        )
        same = [(text, intent is not None) for found, text, intent in rows if not label or found == label]
    finally:
        connection.close()
    return same[0] if len(same) == 1 else None


def _grants(home_id: str) -> GrantStore:
    """The account's grant as the engine reads it, from the keychain, with a command's deadline."""
    from keyfob.adapters.vault.choice import SystemVault
    from keyfob.adapters.vault.deadline import DEADLINE, PROMPT_DEADLINE, DeadlineVault
    from keyfob.service.accounts.grant_store import GrantStore

    deadline = PROMPT_DEADLINE if sys.platform == "darwin" else DEADLINE  # macOS asks automatically
    return GrantStore(DeadlineVault(SystemVault(home_id), deadline))


def _after_others(
    ref: str, key: str, where: Mapping[str, str], grants: GrantStore, stale: Stored
) -> tuple[_Found, Stored] | tuple[None, None]:
    """If many processes find one old token, they go on to the engine one at a time, and each looks again
    first: loading it 64 times takes a minute, waiting for the first takes what a renewal does. The account's own lock
    is the engine's; this one only keeps the queue, until the process ends. Raises KeychainError."""
    import time

    try:
        import fcntl
    except ImportError:
        return None, None  # Windows: everybody to the engine
    try:
        queue = os.open(
            os.path.join(where["state"], "locks", f"asking-{key}.lock"), os.O_RDWR | os.O_CREAT, 0o600
        )
    except OSError:
        return None, None
    until, waited = time.monotonic() + QUEUE_MOST, False
    while True:
        try:
            fcntl.flock(queue, fcntl.LOCK_EX | fcntl.LOCK_NB)
            break
        except OSError:
            if time.monotonic() > until:
                return None, None
            waited = True
            time.sleep(QUEUE_LOOK)
    found = _find(ref) if waited else None
    newest = grants.newest(key) if found is not None else None
    # As in the keeper: who waited for somebody else's renewal takes its result, whatever life was asked for.
    if (
        found is None
        or newest is None
        or newest.grant.generation <= stale.grant.generation
        or not _serves(newest, "0")
    ):
        return None, None
    os.close(queue)
    return found, newest


def _serves(stored: Stored, min_life: str) -> bool:
    from datetime import UTC, datetime, timedelta

    from keyfob.core.renewal import serves

    now, grant = datetime.now(UTC), stored.grant
    if grant.obtained_at > now or (min_life and int(min_life) > LIFE_MOST):
        return False  # a clock that was ahead, or a usage error: both are the engine's to judge
    return serves(grant, now, timedelta(seconds=int(min_life)) if min_life else None)


def _told(row: dict[str, Any], stored: Stored, accept: str, where: Mapping[str, str]) -> str | None:
    """The line, or the document, to print; None if tools may not have it or the header takes the engine."""
    grant, account = stored.grant, row["account"]
    verdict = _verdict(row, stored, where)
    if verdict is None:
        return None
    match accept:
        case "text/plain":
            return grant.access.reveal()
        case "text/x-keyfob-header":
            header = verdict["headers"].get(f"{account['method']} {grant.token_type}")
            # What a user typed in may be part of a header: those are the engine's to fill in.
            return None if header is None or account["pin"].get("inputs") else header + grant.access.reveal()
    import json

    from keyfob.core.times import to_rfc3339

    document = {
        "account": f"{account['provider']}/{account['label']}",
        "token": grant.access.reveal(),
        "token_type": grant.token_type,
        "expires_at": to_rfc3339(grant.expires_at),
        "scopes": list(grant.scopes),
    }
    return json.dumps(document, indent=2, ensure_ascii=False)


# --- what its preset says ---------------------------------------------------------------------------------------


def _verdict(row: dict[str, Any], stored: Stored, where: Mapping[str, str]) -> dict[str, Any] | None:
    """What was found out about the account's preset, if tools may have its tokens; None else."""
    import json

    provider, method = row["account"]["provider"], row["account"]["method"]
    path = os.path.join(where["state"], VERDICTS)
    try:
        with open(path, "rb") as file:
            kept = json.loads(file.read())
    except (OSError, ValueError):
        kept = {}
    verdict: dict[str, Any] | None = kept.get(provider)
    header, shape = f"{method} {stored.grant.token_type}", _shape(row)
    if verdict is not None and not _holds(verdict):
        verdict = None
    if verdict is None or header not in verdict["headers"] or shape not in verdict["shapes"]:
        new = _judged(row, stored, where)
        if new is None:
            return None
        if verdict is not None:
            new["headers"] = verdict["headers"] | new["headers"]
            new["shared"] = [*verdict["shared"], *new["shared"]]
            new["shapes"] = [*verdict["shapes"], *new["shapes"]][-SHAPES_MOST:]
        verdict = new
        from pathlib import Path

        from keyfob.process.home import write_private

        write_private(Path(path), json.dumps(kept | {provider: verdict}).encode())
    return verdict if method in verdict["shared"] else None


def _shape(value: Any) -> str:
    """The names of a row's fields, with those within: a row with others may say something that only the engine, or a
    newer version, understands."""
    if not isinstance(value, dict):
        return ""
    return "(" + ",".join(f"{name}{_shape(value[name])}" for name in sorted(value) if name != "text") + ")"


def _holds(verdict: dict[str, Any]) -> bool:
    """Whether it is of this installation, and its files are as they were."""
    return verdict["by"] == os.path.realpath(__file__) and all(
        _mark(path) == mark for path, mark in verdict["made_of"]
    )


def _mark(path: str) -> list[int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return [found.st_mtime_ns, found.st_size, found.st_ino]


def _judged(row: dict[str, Any], stored: Stored, where: Mapping[str, str]) -> dict[str, Any] | None:
    """The engine's own judgement. Raises what the catalogue raises."""
    from pathlib import Path

    from keyfob.adapters.store.codec import load_record
    from keyfob.providers.catalogue import standard
    from keyfob.service.accounts.tool_tokens import shareable, token_of

    record, grant = load_record(row["text"]), stored.grant
    catalogue = standard(Path(where["config"]))
    made_of = catalogue.made_of(record.account.provider)
    provider = catalogue.get(record.account.provider)
    if not shareable(provider, record):
        return None
    token = token_of(record, provider, grant)
    line = f"{token.header_name}: {token.header_value.reveal() if token.header_value else ''}"
    head = line.removesuffix(grant.access.reveal())
    marks = {str(path): None if stamp is None else list(stamp[1:]) for path, stamp in made_of}
    return {
        "by": os.path.realpath(__file__),  # the launcher comes by another path to the same file
        "made_of": list(marks.items()),
        "shared": [record.account.method],
        "shapes": [_shape(row)],
        # Without the token at its end there is no head to keep: such a header is made again each time.
        "headers": {f"{record.account.method} {grant.token_type}": None if head == line else head},
    }
