"""Rows about the agent's socket under load, beside oidc-agent under the same load."""

from __future__ import annotations

import json
import socket
import statistics
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from . import others
from .ground import CACHE, HERE, Ground, say
from .measure import Row, Sample, ms

PAUSE = 0.002  # seconds
CLIENTS, KEPT_CLIENTS, KEPT_REQUESTS = 64, 32, 10_000
ASK = b"GET /v1/token/bench/alice HTTP/1.1\r\nHost: keyfob\r\nConnection: close\r\n\r\n"
ASK_AGAIN = b"GET /v1/token/bench/alice HTTP/1.1\r\nHost: keyfob\r\n\r\n"


def load_program() -> Path | None:
    """The load generator, compiled here; None where there is no C compiler."""
    cc = others.program("cc")
    if cc is None:
        return None
    out = CACHE / "load"
    subprocess.run([cc, "-O2", "-o", str(out), str(HERE / "load.c")], check=True)
    return out


def load(
    program: Path, path: str, clients: int, requests: int, mode: str, ask: bytes, expect: str
) -> dict[str, Any]:
    done = subprocess.run(
        [str(program), path, str(clients), str(requests), mode, expect],
        input=ask,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"the load generator gave up: {done.stderr.decode()}")
    told: dict[str, Any] = json.loads(done.stdout)
    return told


def throughput(ground: Ground, requests: int, turns: int) -> list[Row]:
    """Rows `sockets` and `kept`. Both agents run all the while and are asked in turn."""
    each = Row(
        "sockets",
        "tokens over the socket, 64 clients, a connection each",
        "≥ 1.5 × oidc-agent under the same load, p99 below its",
    )
    kept = Row("kept", "the same kept alive, 32 clients, 10,000 requests", "0 errors, p99 < 5 ms")
    program = load_program()
    if program is None:
        return [each.skip("no C compiler here"), kept.skip("no C compiler here")]
    home = ground.home(["alice"])
    ours: list[dict[str, Any]] = []
    theirs: list[dict[str, Any]] = []
    again: list[dict[str, Any]] = []
    say("The socket under load")
    with ground.agent(home) as agent:
        path = str(agent.path)
        load(program, path, 4, 200, "each", ASK, "a.alice")
        try:
            with others.OidcAgent(ground) as oidc:
                ask = oidc.request("bench")
                load(program, oidc.socket, 4, 200, "each", ask, "success")
                for _ in range(turns):
                    theirs.append(load(program, oidc.socket, CLIENTS, requests, "each", ask, "success"))
                    ours.append(load(program, path, CLIENTS, requests, "each", ASK, "a.alice"))
        except (LookupError, subprocess.SubprocessError, KeyError):
            for _ in range(turns):
                ours.append(load(program, path, CLIENTS, requests, "each", ASK, "a.alice"))
        for _ in range(turns):
            again.append(load(program, path, KEPT_CLIENTS, KEPT_REQUESTS, "kept", ASK_AGAIN, "a.alice"))
    mine, p99 = _middle(ours, "per_second"), _middle(ours, "p99")
    each.measured = f"**{mine:,.0f} a second, p99 {ms(p99)} ms**"
    each.figures = {"keyfob": ours, "oidc-agent": theirs}
    errors = sum(int(run["errors"]) for run in ours)
    if theirs:
        other, other99 = _middle(theirs, "per_second"), _middle(theirs, "p99")
        each.measured = f"**{mine / other:.2f} ×**, {mine:,.0f} a second, p99 {ms(p99)} ms"
        each.beside = [f"oidc-agent {other:,.0f} a second, p99 {ms(other99)} ms"]
        each.met = errors == 0 and mine / other >= 1.5 and p99 < other99
    failed, late = sum(int(run["errors"]) for run in again), _middle(again, "p99")
    kept.measured = f"**{failed} errors, p99 {ms(late)} ms**, {_middle(again, 'per_second'):,.0f} a second"
    kept.met = failed == 0 and late < 5
    kept.figures = {"keyfob": again}
    return [each, kept]


def beside_a_slow_one(ground: Ground, asked: int) -> list[Row]:
    """Row `slow`: a cached token while another account's renewal takes two seconds."""
    row = Row(
        "slow",
        "a cached token while another account's renewal takes 2 s",
        "unaffected (< 2 × its quiet time)",
    )
    home = ground.home(["alice"])
    ground.fill(home, ["slow"], left=HOUR_PAST_RENEWAL)
    say("A slow renewal beside a cached token")
    with ground.agent(home) as agent:
        path = str(agent.path)
        renew = b"POST /v1/renew/bench/slow HTTP/1.1\r\nHost: keyfob\r\nConnection: close\r\n\r\n"
        quiet, busy = _beside(lambda: exchange(path, ASK), lambda: exchange(path, renew), asked)
    row.measured = (
        f"**{busy.median / quiet.median:.2f} ×**: {busy.median:.3f} ms (most {ms(max(busy.times))})"
    )
    row.met = busy.median / quiet.median < 2
    row.beside = [f"quiet {quiet.median:.3f} ms (most {ms(max(quiet.times))})"]
    row.figures = {"quiet_ms": quiet.median, "busy_ms": busy.median, "busy_most_ms": max(busy.times)}
    try:
        with others.OidcAgent(ground) as oidc:
            ask, slow = oidc.request("bench"), oidc.request("slow", 10**9)
            quiet, busy = _beside(
                lambda: exchange(oidc.socket, ask), lambda: exchange(oidc.socket, slow), asked
            )
            row.beside.append(f"oidc-agent quiet {ms(quiet.median)}, then most {ms(max(busy.times))} ms")
            row.figures |= {"oidc_quiet_ms": quiet.median, "oidc_busy_most_ms": max(busy.times)}
    except (LookupError, subprocess.SubprocessError, KeyError):
        pass
    return [row]


HOUR_PAST_RENEWAL = 3000.0  # seconds left: the renewer leaves it alone, "renew" does not


def exchange(path: str, ask: bytes) -> bytes:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(30)
        sock.connect(path)
        sock.sendall(ask)
        answer = b""
        while chunk := sock.recv(65536):
            answer += chunk
    if not answer:
        raise RuntimeError("no answer")
    return answer


def _beside(ask: Callable[[], bytes], slow: Callable[[], bytes], asked: int) -> tuple[Sample, Sample]:
    """Times of `ask` while nothing else happens, and while `slow` is under way."""

    def one() -> float:
        time.sleep(PAUSE)  # in both phases: a processor that is kept awake answers sooner
        began = time.perf_counter()
        ask()
        return (time.perf_counter() - began) * 1000

    for _ in range(20):
        one()
    quiet = [one() for _ in range(asked)]
    thread = threading.Thread(target=slow)
    thread.start()
    time.sleep(0.3)  # its request has left by now
    busy = []
    while thread.is_alive() and len(busy) < asked:
        busy.append(one())
    thread.join()
    return Sample(tuple(quiet)), Sample(tuple(busy))


def _middle(runs: list[dict[str, Any]], name: str) -> float:
    return statistics.median(float(run[name]) for run in runs)
