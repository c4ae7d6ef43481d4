"""A real KeePassXC that offers the Secret Service on a test's session, with one open database."""

from __future__ import annotations

import base64
import subprocess
import time
import uuid
from contextlib import suppress

import secretstorage

from support.running import until
from support.session import DesktopSession

PASSWORD = "canary-database"
DATABASE = """<?xml version="1.0" encoding="utf-8"?>
<KeePassFile><Meta><Generator>KeePassXC</Generator><DatabaseName>tests</DatabaseName>
<RecycleBinEnabled>{bin}</RecycleBinEnabled><RecycleBinUUID>AAAAAAAAAAAAAAAAAAAAAA==</RecycleBinUUID>
<CustomData><Item><Key>FDO_SECRETS_EXPOSED_GROUP</Key><Value>{{{group}}}</Value></Item></CustomData></Meta>
<Root><Group><UUID>{key}</UUID><Name>Root</Name></Group></Root></KeePassFile>"""
SETTINGS = """[General]
ConfigVersion=2
UpdateCheckMessageShown=true
[GUI]
CheckForUpdates=false
ShowTrayIcon=false
[FdoSecrets]
Enabled=true
ConfirmAccessItem={confirm}
"""


def start(session: DesktopSession, *, confirm: bool, recycle_bin: bool = True) -> None:
    """`confirm`: it asks the person before it gives an entry to a program that has just connected, as it does
    unless told otherwise. Without a recycle bin it asks before it deletes."""
    group = uuid.uuid4()
    text = DATABASE.format(
        group=group, key=base64.b64encode(group.bytes).decode(), bin=str(recycle_bin).capitalize()
    )
    source, database = session.root / "tests.xml", session.root / "tests.kdbx"
    source.write_text(text, "utf-8")
    subprocess.run(
        ["keepassxc-cli", "import", "-p", str(source), str(database)],
        input=f"{PASSWORD}\n{PASSWORD}\n",
        text=True,
        check=True,
        capture_output=True,
        timeout=60,
    )
    folder = session.home / ".config/keepassxc"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "keepassxc.ini").write_text(SETTINGS.format(confirm=str(confirm).lower()), "utf-8")
    session.start_program(
        "keepassxc", ["env", f"TMPDIR={session.run}", "keepassxc", "--pw-stdin", str(database)], PASSWORD
    )
    # It does not stand being called while it opens the database.
    _wait_for_window(session, "tests.kdbx|tests - KeePassXC")
    time.sleep(2)
    with session.bus() as connection:
        assert secretstorage.check_service_availability(connection), session.log("keepassxc")
        assert not secretstorage.Collection(connection).is_locked(), session.log("keepassxc")


def asks(session: DesktopSession) -> bool:
    """Whether one of its questions is on the screen."""
    return bool(_windows(session, "KeePassXC - |Confirm|Access Request|Overwrite|Delete"))


def _wait_for_window(session: DesktopSession, name: str, seconds: float = 45) -> None:
    try:
        until(lambda: _windows(session, name), f"the window {name}", seconds)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{session.log('keepassxc')}") from None


def _windows(session: DesktopSession, name: str) -> list[str]:
    with suppress(subprocess.TimeoutExpired):
        found = subprocess.run(
            ["xdotool", "search", "--onlyvisible", "--name", name],
            env=session.env,
            capture_output=True,
            text=True,
            timeout=30,
        )
        return found.stdout.split()
    return []
