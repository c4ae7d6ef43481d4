"""Rows about renewing: many processes at one expired token under strict
rotation, a thousand accounts in one minute.
"""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from . import others
from .ground import HERE, Ground, say
from .measure import Command, Row, ms, spawn

AT_ONCE = 64
MSAL_AT_ONCE = 10


def together(command: Command, count: int) -> list[tuple[int, bytes]]:
    """`count` processes started as fast as they can be: exit code and output of each."""
    started = []
    for _ in range(count):
        reader, writer = os.pipe()
        pid = spawn(command, writer)
        os.close(writer)
        started.append((pid, reader))
    ended = []
    for pid, reader in started:
        output = b""
        while chunk := os.read(reader, 65536):
            output += chunk
        os.close(reader)
        _, status = os.waitpid(pid, 0)
        ended.append((os.waitstatus_to_exitcode(status), output.strip()))
    return ended


def rounds(ground: Ground, served: int, alone: int) -> list[Row]:
    """Row `rounds`: `served` rounds with an agent running, `alone` without one."""
    row = Row(
        "rounds",
        f"{AT_ONCE} processes at once on an expired token, strict rotation: {served} rounds with an agent, "
        f"{alone} without",
        f"1 renewal, {AT_ONCE} valid tokens each round",
    )
    home = ground.home([])
    say(f"{served} rounds of {AT_ONCE} processes with an agent")
    with ground.agent(home):
        with_agent = [_round(ground, home, f"s{number}") for number in range(served)]
    say(f"{alone} rounds without")
    home = ground.home([])
    without = [_round(ground, home, f"a{number}") for number in range(alone)]
    row.measured = f"**{_told(with_agent)}** with an agent; **{_told(without)}** without"
    row.met = all(each["renewals"] == 1 and each["valid"] == AT_ONCE for each in [*with_agent, *without])
    row.figures = {"with_agent": with_agent, "without": without}
    if python := others.python_with(ground, "msal"):
        lost = _msal(ground, str(python))
        row.beside = [
            f"MSAL, {MSAL_AT_ONCE} processes on one cache file: {lost['renewals']} renewals accepted, "
            f"{lost['refused']} refused, {lost['valid']} tokens, session {'lost' if lost['dead'] else 'kept'}"
        ]
        row.figures["msal"] = lost
    return [row]


def _round(ground: Ground, home: Path, label: str) -> dict[str, Any]:
    ground.control(forget=[label])
    ground.fill(home, [label], left=-5)
    command = ground.command(
        "keyfob token", [ground.venv / "bin" / "keyfob", "token", f"bench/{label}"], home
    )
    began = time.monotonic()
    ended = together(command, AT_ONCE)
    took = time.monotonic() - began
    stats = ground.stats()
    # The provider's newest token is the only one that it would honour.
    newest = f"a.{label}.{stats['given'].get(label, 0)}.".encode()
    valid = sum(1 for code, out in ended if code == 0 and out.startswith(newest))
    return {
        "renewals": stats["given"].get(label, 0) + stats["refused"].get(label, 0),
        "valid": valid,
        "seconds": round(took, 2),
    }


def _told(found: Sequence[dict[str, Any]]) -> str:
    renewals = sorted({each["renewals"] for each in found})
    valid = sorted({each["valid"] for each in found})
    seconds = sorted(each["seconds"] for each in found)[len(found) // 2]

    def span(values: list[int]) -> str:
        return str(values[0]) if len(values) == 1 else f"{values[0]}–{values[-1]}"

    return f"{span(renewals)} renewal, {span(valid)} valid, {seconds:.1f} s a round"


def _msal(ground: Ground, python: str) -> dict[str, Any]:
    cache = str(ground.session.root / "msal-expired.json")
    argv = [python, others.msal_script()]
    ground.control(forget=["msal"])
    subprocess.run([*argv, "fill", ground.issuer, cache, "msal", "-1"], check=True)
    command = Command("MSAL", [*argv, "get", ground.issuer, cache, "msal"], ground.session.env)
    ended = together(command, MSAL_AT_ONCE)
    stats = ground.stats()
    return {
        "renewals": stats["given"].get("msal", 0),
        "refused": stats["refused"].get("msal", 0),
        "valid": sum(1 for code, _ in ended if code == 0),
        "dead": "msal" in stats["dead"],
    }


def crowd(ground: Ground, count: int) -> list[Row]:
    """Row `crowd`: the app itself, its window on Qt's offscreen platform, renews them all."""
    limit, spread, first = 10, 60, 300
    row = Row(
        "crowd",
        f"{count:,} accounts that expire in one minute, a provider that answers 429 beyond {limit} a second",
        "all renewed in time, ≤ 1 renewal an account, the window never stalls > 16 ms",
    )
    labels = [f"c{number:04}" for number in range(count)]
    home = ground.home([])
    ground.control(forget=labels, limit=limit)
    say(f"{count} accounts that expire in one minute")
    ends: dict[str, float] = {}
    for number in range(10):
        part, left = labels[number::10], first + spread * number / 10
        ends |= dict.fromkeys(part, time.time() + left)
        ground.fill(home, part, left=left)
    (home / "config" / "settings.json").write_text('{"first_start_done": true}', "utf-8")
    done = home / "done"
    env = ground.env(home, QT_QPA_PLATFORM="offscreen", BENCH_DONE=str(done))
    app = subprocess.Popen(
        [str(ground.python), str(HERE / "watched_app.py")],
        env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        stats = ground.stats()
        until = max(ends.values()) + 60
        while len(stats["given"]) < count and time.time() < until and app.poll() is None:
            time.sleep(1)
            stats = ground.stats()
        time.sleep(3)  # a renewal too many would come now
        stats = ground.stats()
        done.touch()
        out, err = app.communicate(timeout=30)
    finally:
        if app.poll() is None:
            app.kill()
            app.wait()
        ground.control(limit=None)
    if app.returncode:
        raise RuntimeError(err[-600:])
    told = json.loads(out.splitlines()[-1])
    at: dict[str, float] = stats["given_at"]
    took = max(at.values()) - min(at.values())
    in_time = sum(1 for label in labels if at.get(label, 1e12) < ends[label])
    most = max(stats["given"].values())
    row.measured = (
        f"**{in_time:,} of {count:,} renewed in time**, within {took:.0f} s; at most **{most} an "
        f"account**; {stats['limited']} times 429; the window's longest gap **{ms(told['most'])} ms** (p99 "
        f"{ms(told['p99'])}; {told['over']} of {told['beats']:,} over 16)"
    )
    row.met = in_time == count and most == 1 and told["most"] <= 16
    row.beside = [f"the same window with nothing to renew: longest gap {ms(told['quiet_most'])} ms"]
    row.figures = told | {
        "limited": stats["limited"],
        "in_time": in_time,
        "most_renewals": most,
        "seconds": took,
    }
    return [row]
