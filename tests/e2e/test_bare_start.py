"""Started where something is missing that a desktop has: a screen, standard input and output."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from keyfob.demo.server import DemoServer
from keyfob.process.own_process import own_command

pytestmark = pytest.mark.network

LINE = (
    "keyfob: Keyfob cannot open a window, because there is no screen. Run `keyfob --help` to see the "
    "commands, `keyfob agent` to keep accounts signed in without a window, or `keyfob demo --headless` to "
    "see the demo."
)
# Closes these descriptors, as a shell's `<&-` and some services' starters do, and becomes the command.
CLOSED = (
    "import os, sys; [os.close(int(each)) for each in sys.argv[1].split(',')]; os.execv(sys.argv[2], "
    "sys.argv[2:])"
)


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    return kept | {"KEYFOB_HOME": str(tmp_path / "home"), "LANG": "C.UTF-8"}


@pytest.mark.parametrize("argv", [[], ["demo"]])
def test_without_qt_the_window_says_how_to_install_it(env: dict[str, str], argv: list[str]) -> None:
    """As after an installation without the extra `desktop`: Python finds no PySide6."""
    code = "import sys; sys.modules['PySide6'] = None; from keyfob.__main__ import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", code, *argv], env=env, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout) == (8, "")
    assert done.stderr == (
        "keyfob: Keyfob's window is not installed. Install Keyfob with the extra `desktop`, for example "
        "`uv tool install 'keyfob[desktop]'`. The commands work without it: see `keyfob --help`.\n"
    )


@pytest.mark.parametrize(
    "more", [{}, {"DISPLAY": ":987"}, {"WAYLAND_DISPLAY": "nowhere", "XDG_RUNTIME_DIR": "/nonexistent"}]
)
@pytest.mark.parametrize("argv", [(), ("demo",)])
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="other systems have no DISPLAY")
def test_without_a_screen_the_window_says_so(
    env: dict[str, str], argv: tuple[str, ...], more: dict[str, str]
) -> None:
    done = subprocess.run(
        [*own_command(), *argv], env=env | more, capture_output=True, text=True, timeout=60, check=False
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (8, "")
    assert done.stderr.splitlines()[-1] == LINE
    assert "Aborted" not in done.stderr
    if not more:
        assert done.stderr == LINE + "\n"


def closed(which: str, env: dict[str, str], *argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", CLOSED, which, *own_command(), *argv],
        env=env, capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip


@pytest.mark.skipif(os.name == "nt", reason="descriptors of POSIX")
@pytest.mark.parametrize("which", ["0", "1", "2", "0,1", "1,2", "0,1,2"])
def test_closed_standard_descriptors_do_no_harm(env: dict[str, str], tmp_path: Path, which: str) -> None:
    """A database that is opened gets such a number: what is printed must not land in it."""
    with DemoServer(tmp_path / "provider", port=0, access_lifetime=3600) as server:
        words = ("--issuer", server.issuer, "--client-id", "keyfob-demo", "--redirect-port", "0")
        assert closed(which, env, "providers", "add", "here", *words).returncode == 0
    for argv, code in (
        (("accounts", "--json"), 0),
        (("token", "nobody"), 7),
        (("status", "nobody"), 7),
        (("--help",), 0),
    ):
        done = closed(which, env, *argv)
        assert done.returncode == code, (argv, done.stderr)
        assert "Traceback" not in done.stdout + done.stderr
    listed = subprocess.run(
        [*own_command(), "accounts", "--json"], env=env, capture_output=True, text=True, check=True
    )
    assert json.loads(listed.stdout) == {"accounts": []}
    assert closed(which, env).returncode == 8  # no screen either
