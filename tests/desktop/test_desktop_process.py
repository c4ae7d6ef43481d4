"""The real app as a process of its own: first paint, a second start, SIGTERM, and nothing on stderr."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.running import until

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals and sockets of POSIX")
COMMAND = (sys.executable, "-m", "keyfob")
PATIENCE = 40  # seconds, on a machine busy with other tests


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    # No bus: the keychain is absent, and the app must live with that.
    kept = {k: v for k, v in os.environ.items() if k not in ("DBUS_SESSION_BUS_ADDRESS", "DISPLAY")}
    return kept | {
        "KEYFOB_HOME": str(tmp_path / "home"),
        "HOME": str(tmp_path),
        "QT_QPA_PLATFORM": "offscreen",
        "DBUS_SESSION_BUS_ADDRESS": "unix:path=/nonexistent",
        "PYTHONWARNINGS": "error",
    }


@pytest.fixture
def app(env: dict[str, str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(COMMAND, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    yield process
    if process.poll() is None:
        process.kill()
    process.communicate()


def listening(env: dict[str, str]) -> None:
    socket = Path(env["KEYFOB_HOME"], "run", "window.sock")
    until(
        lambda: socket.exists() and socket.stat().st_mode & 0o777 == 0o600,
        "a socket of the owner alone",
        PATIENCE,
    )


def test_a_second_start_ends_well_and_sigterm_ends_the_first(
    app: subprocess.Popen[str], env: dict[str, str]
) -> None:
    listening(env)
    second = subprocess.run(COMMAND, env=env, timeout=PATIENCE, capture_output=True, text=True, check=False)
    assert (second.returncode, second.stdout) == (0, "")
    assert app.poll() is None
    time.sleep(1)  # until the engine is there: ending must be in order from then on
    app.send_signal(signal.SIGTERM)
    out, err = app.communicate(timeout=PATIENCE)
    assert app.returncode == 0, err
    ours = [line for line in err.splitlines() if not line.startswith("This plugin does not support")]
    assert (out, ours) == ("", [])
    place = json.loads(Path(env["KEYFOB_HOME"], "state", "window.json").read_text())
    assert (bool(place["geometry"]), place["sidebar"]) == (True, None)


def test_sigterm_at_any_moment_is_an_end_in_order(env: dict[str, str]) -> None:
    for delay in (0.0, 0.2, 0.6):
        process = subprocess.Popen(COMMAND, env=env, stderr=subprocess.PIPE, text=True)
        listening(env)
        time.sleep(delay)
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=PATIENCE)
        # Before the handler stands, the system's own end; after it, ours. Never an abort.
        assert process.returncode in (0, -signal.SIGTERM), err
        Path(env["KEYFOB_HOME"], "run", "window.sock").unlink(missing_ok=True)
