"""Rows about the app on a screen of its own: idle in the tray, and from its start to its first paint."""

from __future__ import annotations

import contextlib
import select
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence

from .ground import HERE, Ground, resident, say, switches
from .measure import Row, Sample

ACCOUNTS = 20
# seconds: what a start does by and by is over, and the keychain's helper has not been asked for long
SETTLE = 25.0


@contextlib.contextmanager
def running(argv: Sequence[str], env: Mapping[str, str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        argv,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.communicate(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def screen(ground: Ground) -> None:
    if ground.session.display is None:
        ground.session.start_screen()


def idle(ground: Ground, seconds: float) -> list[Row]:
    """Row `idle`."""
    row = Row(
        "idle",
        f"the app idle with {ACCOUNTS} accounts, closed to the tray",
        "no wake-ups but the renewer's; ≤ 30 MB RSS over a bare PySide6 tray window",
    )
    screen(ground)
    # Their next renewal is hours away: what is seen is waiting.
    home = ground.home([f"i{number:02}" for number in range(ACCOUNTS)], left=86_400, lifetime=86_400)
    (home / "config" / "settings.json").write_text('{"first_start_done": true}', "utf-8")
    env = ground.env(home, QT_QPA_PLATFORM="xcb", KEYFOB_START_HIDDEN="1")
    say("The app idle in the tray")
    bare = [str(ground.python), str(HERE / "bare_window.py"), "tray"]
    with running([str(ground.venv / "bin" / "keyfob")], env) as ours, running(bare, env) as theirs:
        time.sleep(SETTLE)
        if ours.poll() is not None or theirs.poll() is not None:
            raise RuntimeError("the app or the bare window ended by itself")
        before, other_before = switches(ours.pid), switches(theirs.pid)
        time.sleep(seconds)
        woken, other = switches(ours.pid) - before, switches(theirs.pid) - other_before
        mine, base = resident(ours.pid), resident(theirs.pid)
    row.measured = f"**{woken / seconds:.2f} switches a second, {mine - base:+.1f} MB** ({mine:.1f} MB)"
    # The renewer looks at most every 37 s; one look, a thread and its end, is some ten switches.
    looks = int(seconds // 37) + 1
    row.met = mine - base <= 30 and woken <= looks * 25
    row.beside = [f"bare tray window {other / seconds:.2f} a second, {base:.1f} MB"]
    row.figures = {
        "switches": woken,
        "seconds": seconds,
        "rss_mb": mine,
        "bare_rss_mb": base,
        "bare_switches": other,
    }
    return [row]


def paint(ground: Ground, rounds: int) -> list[Row]:
    """Row `paint`."""
    row = Row(
        "paint",
        "start to first paint",
        "≤ 1.5 × a bare PySide6 window; keychain, network and agent come after",
    )
    screen(ground)
    home = ground.home(["p"], left=86_400, lifetime=86_400)
    (home / "config" / "settings.json").write_text('{"first_start_done": true}', "utf-8")
    env = ground.env(home, QT_QPA_PLATFORM="xcb")
    say("Start to first paint")
    python = str(ground.python)
    argv = {
        "bare": [python, str(HERE / "bare_window.py"), "paint"],
        "keyfob": [python, str(HERE / "painted_app.py")],
    }
    times: dict[str, list[float]] = {name: [] for name in argv}
    for number in range(rounds + 1):
        for name, words in argv.items():
            took = _first_paint(words, env)
            if number:
                times[name].append(took)
    ours, bare = Sample(tuple(times["keyfob"])), Sample(tuple(times["bare"]))
    row.measured = f"**{ours.median / bare.median:.2f} ×**, {ours.told()} ms"
    row.met = ours.median / bare.median <= 1.5
    row.beside = [f"bare window {bare.told()}"]
    row.figures = {"keyfob_ms": ours.median, "bare_ms": bare.median, "best": [ours.best, bare.best]}
    return [row]


def _first_paint(argv: Sequence[str], env: Mapping[str, str]) -> float:
    """Milliseconds from the start of the process to the line that it prints when it has painted."""
    began = time.perf_counter()
    with running(argv, env) as process:
        assert process.stdout is not None
        ready, _, _ = select.select([process.stdout], [], [], 30)
        took = (time.perf_counter() - began) * 1000
        if not ready or process.stdout.readline() != "painted\n":
            raise RuntimeError("nothing was painted")
    return took
