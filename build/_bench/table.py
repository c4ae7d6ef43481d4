"""All rows in their order, the machine they were taken on, and how the table is written."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

from . import commands, desktop, gateway, renewals, sockets, team, translation
from .ground import CACHE, Ground, say
from .measure import Row

Measure = Callable[[Ground, bool], list[Row]]

# What is measured together, by the names of its rows; `quick` for fewer rounds.
PARTS: tuple[tuple[tuple[str, ...], Measure], ...] = (
    (("command", "launcher"), lambda ground, quick: commands.with_agent(ground, 15 if quick else 100)),
    (("native",), lambda ground, quick: commands.native(ground, 15 if quick else 100)),
    (("lone",), lambda ground, quick: commands.without_agent(ground, 8 if quick else 40)),
    (
        ("sockets", "kept"),
        lambda ground, quick: sockets.throughput(ground, 5_000 if quick else 30_000, 3 if quick else 7),
    ),
    (("slow",), lambda ground, quick: sockets.beside_a_slow_one(ground, 100 if quick else 400)),
    (("python",), lambda ground, quick: commands.in_process(ground, 10 if quick else 100)),
    (("rounds",), lambda ground, quick: renewals.rounds(ground, 5 if quick else 200, 1 if quick else 5)),
    (("crowd",), lambda ground, quick: renewals.crowd(ground, 60 if quick else 1_000)),
    (("idle",), lambda ground, quick: desktop.idle(ground, 12 if quick else 75)),
    (("paint",), lambda ground, quick: desktop.paint(ground, 5 if quick else 20)),
    (("team",), lambda ground, quick: team.rounds(ground, 20 if quick else 200)),
    (("proxied",), lambda ground, quick: gateway.proxied(ground, 2 if quick else 8, 1 if quick else 5)),
    (
        ("first-byte", "streams", "bodies"),
        lambda ground, quick: gateway.streams(ground, 50 if quick else 400),
    ),
    (("keys",), lambda ground, quick: gateway.keys(ground, 1 if quick else 4)),
    (("translation",), lambda ground, quick: translation.streams(ground, 1 if quick else 8)),
)
NAMES = tuple(name for names, _ in PARTS for name in names)


def measured(uv: str, only: Sequence[str], *, quick: bool) -> list[Row]:
    rows: list[Row] = []
    CACHE.mkdir(parents=True, exist_ok=True)
    with Ground(uv) as ground:
        for names, measure in PARTS:
            if only and not set(names) & set(only):
                continue
            try:
                found = measure(ground, quick)
            except Exception as error:  # one row that fails is told in its place, and the others go on
                say(f"{names[0]}: {type(error).__name__}: {error}")
                found = [Row(name, name, "").skip(f"{type(error).__name__}: {error}"[:200]) for name in names]
            rows += [row for row in found if not only or row.name in only]
    return rows


def machine(uv: str) -> dict[str, str]:
    cpu = next(
        (line.partition(":")[2].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")),
        "?",
    )
    memory = next((line.split()[1] for line in _lines("/proc/meminfo") if line.startswith("MemTotal")), "0")
    system = next(
        (x.partition("=")[2].strip('"') for x in _lines("/etc/os-release") if x.startswith("PRETTY_NAME")), ""
    )
    return {
        "cpu": f"{cpu}, {os.cpu_count()} cores",
        "memory": f"{int(memory) / 2**20:.0f} GB",
        "system": f"{system}, Linux {platform.release().partition('-')[0]}",
        "python": platform.python_version(),
        "load before": f"{os.getloadavg()[2]:.1f} (15 minutes)",
        "PySide6": version("PySide6-Essentials"),
        "uvloop": _said([str(CACHE / "keyfob/bin/python"), "-c", "import uvloop; print(uvloop.__version__)"]),
        "uv": _said([uv, "--version"]).removeprefix("uv "),
        "gh": _said(["gh", "--version"]).removeprefix("gh version ").partition(" ")[0],
        "oidc-agent": _said(["oidc-agent", "--version"]).removeprefix("oidc-agent "),
        "MSAL": _said([str(CACHE / "msal/bin/python"), "-c", "import msal; print(msal.__version__)"]),
        "keyring": version("keyring"),
    }


def text(about: dict[str, str], rows: Sequence[Row], *, quick: bool) -> str:
    """Markdown, as it stands in docs/benchmarks.md."""
    lines = ["; ".join(f"{name} {value}" for name, value in about.items()), ""]
    if quick:
        lines += ["A quick run, with few rounds: for a look, not for the record.", ""]
    lines += ["| what | aim | measured | | beside it, in the same run |", "|---|---|---|---|---|"]
    for row in rows:
        mark = "" if row.met is None else "met" if row.met else "**not met**"
        lines.append(f"| {row.what} | {row.aim} | {row.measured} | {mark} | {'; '.join(row.beside)} |")
    lines += [
        "",
        "Times are medians with the quartiles in parentheses, in milliseconds where nothing else stands.",
    ]
    return "\n".join(lines)


def _lines(path: str) -> list[str]:
    try:
        return Path(path).read_text("utf-8").splitlines()
    except OSError:
        return []


def _said(argv: Sequence[str]) -> str:
    try:
        out = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False).stdout.strip()
    except OSError:
        return "absent"
    return out.splitlines()[0] if out else "absent"
