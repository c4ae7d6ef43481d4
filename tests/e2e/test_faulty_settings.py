"""S-78: a settings file that cannot be read loosens nothing, while an
agent runs and when a command or the window starts.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.agent_process import PASSPHRASE, Machine, machine

pytestmark = pytest.mark.network

GOOD = '{"vault": "sealed", "named_app_consent": true}'


def _text(text: str) -> Callable[[Path], None]:
    """Replaced whole, as most editors save."""

    def write(path: Path) -> None:
        fresh = path.with_name("settings.new")
        fresh.write_text(text)
        fresh.replace(path)

    return write


def _cut(path: Path) -> None:
    """Written in place, and cut off in the middle."""
    path.write_text(GOOD[:20])


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


FAULTS: dict[str, tuple[Callable[[Path], None], str]] = {
    "trailing comma": (_text('{\n "vault": "sealed",\n "named_app_consent": true,\n}'), "line "),
    "port": (
        _text('{"vault": "sealed",\n "named_app_consent": true,\n "callback_port": 80}'),
        "callback_port must be a whole number from 1024 to 65535 (settings.json, line 3)",
    ),
    "theme": (_text('{"vault": "sealed", "named_app_consent": true, "theme": "drak"}'),
        "theme must be one of"),
    "vault": (_text('{"vault": "seald", "named_app_consent": true}'), "vault must be one of"),
    "consent": (_text('{"vault": "sealed", "named_app_consent": "yes"}'),
        "named_app_consent must be true or false"),
    "white space": (_text("\n"), "are not JSON"),
    "0 bytes": (_text(""), "are not JSON"),
    "half-written": (_cut, "line 1, column"),
    "list": (_text("[]"), "are not a JSON object"),
    "folder": (_folder, "Is a directory"),
}  # fmt: skip
faults = pytest.mark.parametrize(("spoil", "said"), FAULTS.values(), ids=FAULTS)


@pytest.fixture(scope="module")
def one_home() -> Iterator[Machine]:
    with machine() as made:
        made.connect()
        yield made


@pytest.fixture
def home(one_home: Machine) -> Iterator[Machine]:
    yield one_home
    one_home.end()
    mend(one_home, '{"vault": "sealed"}')


def settings(home: Machine) -> Path:
    return home.home / "config" / "settings.json"


def mend(home: Machine, text: str) -> None:
    path = settings(home)
    if path.is_dir():
        path.rmdir()
    _text(text)(path)


def test_s78_a_running_agent_keeps_the_last_good_settings(home: Machine) -> None:
    mend(home, GOOD)
    home.agent()
    refused = home.run("token", "here", unlocked=False)
    assert (refused.code, refused.out) == (8, "")
    for name, (spoil, _said) in FAULTS.items():
        spoil(settings(home))
        still = home.run("token", "here", unlocked=False)
        assert (still.code, still.out) == (8, ""), name
        assert "may not use the token" in still.err
        mend(home, GOOD)
    settings(home).unlink()  # an editor that removes the file first
    assert home.run("token", "here", unlocked=False).code == 8
    log = (home.home / "log" / "keyfob.log").read_text()
    assert "Keyfob keeps the last valid settings" in log
    mend(home, '{"vault": "sealed"}')
    assert home.run("token", "here", unlocked=False).code == 0


def test_s78_what_was_allowed_stays_allowed(home: Machine) -> None:
    home.agent()
    _text("{")(settings(home))
    assert home.run("token", "here", unlocked=False).code == 0


@faults
def test_s78_at_start_no_vault_is_opened(home: Machine, spoil: Callable[[Path], None], said: str) -> None:
    """No other vault is used, nothing is written down about the account, and what needs no vault works."""
    spoil(settings(home))
    for argv in (("token", "here"), ("renew", "here"), ("agent",)):
        ran = home.run(*argv)
        assert (ran.code, ran.out) == (8, ""), (argv, ran.err)
        last = ran.err.splitlines()[-1]
        assert str(settings(home)) in last
        assert said in last
    script = home.root / "unvisited.py"
    script.write_text("import sys, pathlib; pathlib.Path(sys.argv[0] + '.visited').touch()")
    connected = home.run("connect", "here", BROWSER=f"{sys.executable} {script} %s")
    assert connected.code == 8, connected.err
    assert not Path(f"{script}.visited").exists()
    accounts = home.run("accounts", "--json").json["accounts"]
    assert [(each["id"], each["status"], each["last_error"]) for each in accounts] == [
        ("here/alice", "connected", None)
    ]
    assert home.run("status", "here", "--json").json["status"] == "connected"
    doctor = json.loads(home.run("doctor", "--json").out)
    findings = {each["name"]: each for each in doctor["findings"]}
    assert findings["settings"]["ok"] is False
    assert str(settings(home)) in findings["settings"]["remedy"]
    assert findings["keychain"]["ok"] is False
    assert home.run("permissions", "--json").json["on"] is True
    mend(home, '{"vault": "sealed"}')
    assert home.run("token", "here").code == 0


@pytest.mark.skipif(not hasattr(os, "geteuid"), reason="modes are POSIX's")
def test_s78_a_file_that_may_not_be_read() -> None:
    """As a plain user, whom a mode stops."""
    code = (
        "import os, sys; from pathlib import Path\n"
        "from keyfob.adapters.store.settings_file import CAUTIOUS, SettingsFile\n"
        "from keyfob.agent.remedies import REMEDIES\n"
        "from keyfob.core.errors import SettingWrong\n"
        "os.geteuid() or os.setuid(65534)\n"
        "path = Path(sys.argv[1]); path.write_text('{}'); path.chmod(0)\n"
        "file = SettingsFile(path)\n"
        "assert file.current() == CAUTIOUS\n"
        "try: file.load()\n"
        "except SettingWrong as error: print(error.sentence(REMEDIES))\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o777)
        ran = subprocess.run(
            [sys.executable, "-c", code, f"{folder}/settings.json"],
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
    assert "Permission denied" in ran.stdout
    assert "readable" in ran.stdout


def test_s78_the_window_comes_up_and_says_what_to_do(home: Machine) -> None:
    """The real window's engine, with a faulty file: a banner with the file, the line and the remedy. Once the
    file is in order, Try again opens the accounts.
    """
    mend(home, '{"vault": "sealed",\n"theme": "drak"}')
    ran = home.start(
        str(Path(__file__).parent.parent / "support" / "window_with_faulty_settings.py"),
        str(settings(home)),
        program=[sys.executable],
        QT_QPA_PLATFORM="offscreen",
        PYTHONPATH=os.pathsep.join(sys.path),
    )
    out, err = ran.communicate(timeout=90)
    assert ran.returncode == 0, err
    seen = json.loads(out)
    assert "theme must be one of" in seen["banner"]
    assert "settings.json, line 2" in seen["banner"]
    assert f"Correct the file {settings(home)}" in seen["banner"]
    assert seen["accounts_before"] == 0
    assert seen["accounts_after"] == 1
    assert PASSPHRASE not in out + err
