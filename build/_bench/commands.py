"""Rows about starting a program: `keyfob token` with and without an
agent, beside the floor and what people use.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
from pathlib import Path

import _launcher

from . import others
from .ground import HERE, Ground, say
from .measure import Command, Row, Sample, ms, side_by_side


def bare_wrapper(ground: Ground) -> Path:
    """The script that uv writes for a command, around a function that does nothing."""
    path = ground.venv / "bin" / "bench-bare"
    text = (ground.venv / "bin" / "keyfob").read_text("utf-8")
    path.write_text(text.replace("from keyfob.__main__ import main", "main = lambda: 0"), "utf-8")
    path.chmod(0o755)
    return path


def with_agent(ground: Ground, rounds: int) -> list[Row]:
    """Rows `command` and `launcher`."""
    python, scripts = str(ground.python), ground.venv / "bin"
    home = ground.home(["alice"])
    others.stored_secret(ground)
    say("Commands with the agent")
    with ground.agent(home) as agent:
        commands = [
            ground.command("python -I -c pass", [python, "-I", "-c", "pass"], home),
            ground.command("python -I -S -c pass", [python, "-I", "-S", "-c", "pass"], home),
            ground.command("uv's wrapper around nothing", [bare_wrapper(ground)], home),
            ground.command("keyfob token", [scripts / "keyfob", "token", "bench/alice"], home),
            ground.command("keyfob-token", [scripts / "keyfob-token", "bench/alice"], home),
            ground.command(
                "secret-tool lookup",
                [others.program("secret-tool"), "lookup", "service", "bench", "username", "me"],
                home,
            ),
        ]
        if curl := others.program("curl"):
            url = "http://keyfob/v1/token/bench/alice"
            commands.append(
                ground.command("curl --unix-socket", [curl, "-s", "--unix-socket", agent.path, url], home)
            )
        found = side_by_side(commands, rounds)
    floor, ours = found["python -I -c pass"], found["keyfob token"]
    launcher, secret = found["keyfob-token"], found["secret-tool lookup"]
    beside = [f"{name} {sample.told()}" for name, sample in found.items() if not name.startswith("keyfob")]
    rows = [
        Row(
            "command",
            "`keyfob token`, agent running, the command that uv installs",
            "≤ 1.35 × `python -I -c pass`",
            f"**{ours.median / floor.median:.2f} ×**, {ours.told()} ms",
            ours.median / floor.median <= 1.35,
            beside,
            _figures(found),
        ),
        Row(
            "launcher",
            "the same by `keyfob-token`, which keeps `-I -S`",
            "ahead of `secret-tool lookup`",
            f"**{secret.median / launcher.median:.2f} × as fast**, {launcher.told()} ms",
            launcher.median < secret.median,
            [f"secret-tool lookup {secret.told()}"],
            _figures(found),
        ),
    ]
    rows[1].beside += [
        f"{name} {sample.told()}" for name, sample in slow_ones(ground, max(rounds // 4, 5)).items()
    ]
    return rows


def native(ground: Ground, rounds: int) -> list[Row]:
    """Row `native`: the packages' launcher, in turns with oidc-agent's, which is a native program too."""
    launcher, home = ground.venv / "bin" / "keyfob-token-native", ground.home(["alice"])
    library = _launcher.launcher(launcher)
    row = Row(
        "native",
        f"`keyfob-token` of the packages, a native program (static, {library})",
        "no slower than `oidc-token`",
    )
    say("The native launcher")
    with ground.agent(home) as agent:
        commands = [
            ground.command("keyfob-token", [launcher, "bench/alice"], home),
        ]
        if curl := others.program("curl"):
            url = "http://keyfob/v1/token/bench/alice"
            commands.append(
                ground.command("curl --unix-socket", [curl, "-s", "--unix-socket", agent.path, url], home)
            )
        with contextlib.ExitStack() as stack:
            try:
                oidc = stack.enter_context(others.OidcAgent(ground))
            except (LookupError, subprocess.SubprocessError, KeyError):
                say("oidc-agent is left out: it is not here, or could not be set up")
            else:
                commands.append(
                    Command("oidc-token", [others.program("oidc-token") or "", "bench"], oidc.env)
                )
            found = side_by_side(commands, rounds * 3)
    ours, theirs = found["keyfob-token"], found.get("oidc-token")
    row.measured = f"{ours.told()} ms"
    if theirs is not None:
        row.measured = f"**{theirs.median / ours.median:.2f} × as fast**, {row.measured}"
        row.met = ours.median <= theirs.median
    row.beside = [f"{name} {sample.told()}" for name, sample in found.items() if name != "keyfob-token"]
    row.figures = _figures(found)
    return [row]


def slow_ones(ground: Ground, rounds: int) -> dict[str, Sample]:
    """What takes its time anyway, measured less often."""
    home = ground.home([])
    commands: list[Command] = []
    if gh := others.program("gh"):
        folder = str(others.gh_home(ground))
        commands.append(ground.command("gh auth token", [gh, "auth", "token"], home, GH_CONFIG_DIR=folder))
    if python := others.python_with(ground, "msal"):
        cache = str(ground.session.root / "msal.json")
        argv = [str(python), others.msal_script()]
        subprocess.run([*argv, "fill", ground.issuer, cache, "m", "86400"], check=True)
        commands.append(
            ground.command("MSAL's silent acquisition", [*argv, "get", ground.issuer, cache, "m"], home)
        )
    found = side_by_side(commands, rounds) if commands else {}
    try:
        with others.OidcAgent(ground) as agent:
            command = Command("oidc-token", [others.program("oidc-token") or "", "bench"], agent.env)
            found |= side_by_side([command], rounds * 2)
    except (LookupError, subprocess.SubprocessError, KeyError):
        say("oidc-agent is left out: it is not here, or could not be set up")
    return found


def without_agent(ground: Ground, rounds: int) -> list[Row]:
    """Row `lone`."""
    scripts, home = ground.venv / "bin", ground.home(["alice"])
    others.stored_secret(ground)
    say("Commands without an agent")
    engine = "import sys; from keyfob.cli.main import main; sys.exit(main(sys.argv[1:], lambda _: 1))"
    commands = [
        ground.command("keyfob token", [scripts / "keyfob", "token", "bench/alice"], home),
        ground.command("keyfob-token", [scripts / "keyfob-token", "bench/alice"], home),
        ground.command("keyring get", [scripts / "keyring", "get", "bench", "me"], home),
        ground.command(
            "the whole engine",
            [ground.python, "-c", engine, "token", "bench/alice", "--min-life", "60"],
            home,
        ),
    ]
    found = side_by_side(commands, rounds)
    ours, keyring = found["keyfob token"], found["keyring get"]
    return [
        Row(
            "lone",
            "`keyfob token` with no agent, token in the keychain",
            "ahead of `keyring get` by 2 ×",
            f"**{keyring.median / ours.median:.2f} × as fast**, {ours.told()} ms",
            keyring.median / ours.median >= 2,
            [f"{name} {sample.told()}" for name, sample in found.items() if name != "keyfob token"],
            _figures(found),
        )
    ]


def in_process(ground: Ground, rounds: int) -> list[Row]:
    """Row `python`: `keyfob.token()` inside a program."""
    home = ground.home(["alice"])
    say("keyfob.token() in process")
    with ground.agent(home):
        done = subprocess.run(
            [str(ground.python), str(HERE / "in_process.py"), "bench/alice", str(rounds * 50)],
            env=ground.env(home), capture_output=True, text=True, check=True,
        )  # fmt: skip
    told = json.loads(done.stdout)
    asked, memory = Sample(tuple(told["asked"])), Sample(tuple(told["memory"]))
    return [
        Row(
            "python",
            "`keyfob.token()` in process, agent running; within `min_life`, from memory",
            "< 0.3 ms median; < 5 µs",
            f"**{asked.median:.3f} ms** (p99 {ms(asked.at(0.99))}); **{memory.median * 1000:.2f} µs**",
            asked.median < 0.3 and memory.median * 1000 < 5,
            [],
            {"asked_ms": asked.median, "memory_us": memory.median * 1000},
        )
    ]


def _figures(found: dict[str, Sample]) -> dict[str, object]:
    return {
        name: {"median": s.median, "p25": s.at(0.25), "p75": s.at(0.75), "best": s.best, "n": len(s.times)}
        for name, s in found.items()
    }
