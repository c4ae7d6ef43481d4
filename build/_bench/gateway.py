"""The gateway's figures, beside bare nginx and a plain aiohttp proxy in the same run."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import statistics
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from .ground import HERE, Ground, resident, say
from .measure import Row
from .others import program

CLIENTS = 64
STREAMS = 1000
KEY = "sk-bench-0123456789abcdef0123456789abcdef"
NGINX = """\
{modules}daemon off; pid {folder}/pid; worker_processes 1; user root; error_log stderr error;
events {{ worker_connections 4096; }}
http {{
    access_log off; keepalive_requests 1000000000;
    client_body_temp_path {folder}/b; proxy_temp_path {folder}/p; fastcgi_temp_path {folder}/f;
    uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    {rest}
}}
"""
API = 'server {{ listen 127.0.0.1:{port}; location / {{ return 200 "{body}"; }} }}'
BARE = """\
upstream api {{ server 127.0.0.1:{api}; keepalive 128; keepalive_requests 1000000000; }}
server {{ listen 127.0.0.1:{port}; location / {{ proxy_pass http://api; proxy_http_version 1.1;
    proxy_set_header Connection ""; proxy_set_header Authorization "Bearer a-token"; }} }}
"""
LUA = "include /usr/share/nginx/modules-available/mod-http-ndk.conf;\n"
LUA += "include /usr/share/nginx/modules-available/mod-http-lua.conf;\n"


class Serving(NamedTuple):
    """`keyfob serve` for an account `bench/one`."""

    pid: int
    port: int
    home: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/bench/one"


# --- what runs ----------------------------------------------------------------------------------------------


@contextlib.contextmanager
def started(argv: Sequence[str], env: dict[str, str] | None = None) -> Iterator[tuple[int, str]]:
    """The process and its first line."""
    process = subprocess.Popen(
        list(argv),
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    try:
        yield process.pid, process.stdout.readline()
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextlib.contextmanager
def serving(ground: Ground, api: str) -> Iterator[Serving]:
    home = ground.home(["one"], api=api)
    env = ground.env(home, KEYFOB_GATEWAY_KEY=KEY)
    with started([str(ground.python), "-m", "keyfob", "serve", "--port", "0"], env) as (pid, line):
        found = re.search(r":(\d+)$", line.strip())
        assert found, line
        yield Serving(pid, int(found[1]), home)


@contextlib.contextmanager
def nginx(folder: Path, rest: str, port: int, *, lua: bool = False) -> Iterator[None]:
    folder.mkdir(exist_ok=True)
    file = folder / "nginx.conf"
    file.write_text(NGINX.format(folder=folder, rest=rest, modules=LUA if lua else ""))
    process = subprocess.Popen(["nginx", "-c", str(file)], stderr=subprocess.DEVNULL)
    try:
        for _ in range(100):
            with contextlib.suppress(OSError), contextlib.closing(_connected(port)):
                break
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        process.wait(10)


def _connected(port: int) -> object:
    import socket

    return socket.create_connection(("127.0.0.1", port), timeout=1)


def free_port() -> int:
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


# --- proxied GET --------------------------------------------------------------------------------------------


def wrk(url: str, seconds: int) -> float:
    """Requests a second of 64 clients that keep their connections."""
    said = subprocess.run(
        ["wrk", "-t1", f"-c{CLIENTS}", f"-d{seconds}", "-H", f"Authorization: Bearer {KEY}", url],
        capture_output=True, text=True, check=True, timeout=120,
    ).stdout  # fmt: skip
    assert "Non-2xx" not in said, said
    found = re.search(r"Requests/sec:\s+([\d.]+)", said)
    assert found, said
    return float(found[1])


def proxied(ground: Ground, seconds: int, rounds: int) -> list[Row]:
    """Row `proxied`: bare nginx, `keyfob serve`, and nginx that asks it, with and without kept decisions."""
    say("proxied requests")
    for name in ("nginx", "wrk"):
        if program(name) is None:
            return [Row("proxied", f"GET through the gateway, {CLIENTS} clients", "").skip(f"no {name}")]
    folder, ports = ground.session.root, [free_port() for _ in range(4)]
    api, bare, asking, keeping = ports
    body = '{\\"name\\": \\"' + "x" * 1000 + '\\"}'
    base = f"http://127.0.0.1:{api}"
    with contextlib.ExitStack() as stack:
        rest = API.format(port=api, body=body) + BARE.format(api=api, port=bare)
        stack.enter_context(nginx(folder / "bare", rest, bare))
        ours = stack.enter_context(serving(ground, base))
        for name, port, more in (("asking", asking, ()), ("keeping", keeping, ("--cache", "0.2"))):
            printed = configuration(ground, ours, port, more)
            stack.enter_context(nginx(folder / name, printed, port, lua=bool(more)))
        urls = {
            "bare nginx": f"http://127.0.0.1:{bare}/small",
            "keyfob serve": f"{ours.url}/small",
            "nginx that asks": f"http://127.0.0.1:{asking}/bench/one/small",
            "nginx with --cache 0.2": f"http://127.0.0.1:{keeping}/bench/one/small",
        }
        rates: dict[str, list[float]] = {name: [] for name in urls}
        for _ in range(rounds):
            for name, url in urls.items():
                rates[name].append(wrk(url, seconds))
    found = {name: statistics.median(each) for name, each in rates.items()}
    beside = [f"bare nginx {found['bare nginx']:,.0f}/s"]
    rows = []
    for name, what, aim in (
        ("keyfob serve", f"GET through keyfob serve, {CLIENTS} clients", 0.15),
        ("nginx that asks", "GET through nginx that asks Keyfob each time", 0.5),
        ("nginx with --cache 0.2", "GET through nginx with `--cache 0.2`", 0.5),
    ):
        share = found[name] / found["bare nginx"]
        measured = f"**{share:.2f} ×**, {found[name]:,.0f}/s"
        rows.append(
            Row("proxied", what, f"≥ {aim} × bare nginx", measured, share >= aim, beside, dict(rates))
        )
    return rows


def configuration(ground: Ground, ours: Serving, port: int, more: Sequence[str]) -> str:
    """What Keyfob prints for nginx."""
    words = ["gateway", "config", "nginx", "--listen", f"127.0.0.1:{port}"]
    return subprocess.run(
        [str(ground.python), "-m", "keyfob", *words, "--gateway", f"127.0.0.1:{ours.port}", *more],
        env=ground.env(ours.home), capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip


# --- streams and large bodies -------------------------------------------------------------------------------


def streams(ground: Ground, times: int) -> list[Row]:
    """Rows `first-byte`, `streams` and `bodies`."""
    say("streams through the gateway")
    api = started([str(ground.python), str(HERE / "streaming_api.py")])
    with api as (_, line):
        direct = f"http://127.0.0.1:{line.strip()}"
        plain = started([str(ground.python), str(HERE / "plain_proxy.py"), direct])
        with plain as (_, peer), serving(ground, direct) as ours:
            other = f"http://127.0.0.1:{peer.strip()}"
            return [
                asyncio.run(_first_byte(direct, ours.url, other, times)),
                asyncio.run(_thousand(ours)),
                _bodies(ours, other),
            ]


async def _first_byte(direct: str, ours: str, other: str, times: int) -> Row:
    import aiohttp

    took: dict[str, list[float]] = {direct: [], ours: [], other: []}
    headers = {"Authorization": f"Bearer {KEY}"}
    async with aiohttp.ClientSession(headers=headers) as http:
        for _ in range(times):
            for base, found in took.items():
                started_at = time.perf_counter()
                async with http.get(f"{base}/event") as answer:
                    await answer.content.readany()
                    found.append((time.perf_counter() - started_at) * 1000)
    middle = {base: statistics.median(found) for base, found in took.items()}
    added = middle[ours] - middle[direct]
    return Row(
        "first-byte", "Time to the first byte of a stream, added by the gateway", "≤ 2 ms",
        f"**{added:.2f} ms**", added <= 2,
        [f"a plain aiohttp proxy {middle[other] - middle[direct]:.2f} ms", f"direct {middle[direct]:.2f} ms"],
        {"direct": took[direct], "gateway": took[ours], "plain": took[other]},
    )  # fmt: skip


async def _thousand(ours: Serving) -> Row:
    import aiohttp

    headers = {"Authorization": f"Bearer {KEY}"}
    async with aiohttp.ClientSession(
        headers=headers, connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=None)
    ) as http:

        async def one() -> aiohttp.ClientResponse | None:
            try:
                answer = await http.get(f"{ours.url}/event?open=60")
                return answer if await answer.content.readany() == b"data: {}\n\n" else None
            except aiohttp.ClientError:
                return None

        (await one()).close()  # type: ignore[union-attr]
        before = resident(ours.pid)
        answers = await asyncio.gather(*(one() for _ in range(STREAMS)))
        await asyncio.sleep(1)
        each = (resident(ours.pid) - before) * 1024 / STREAMS
        lost = sum(answer is None for answer in answers)
        for answer in answers:
            if answer is not None:
                answer.close()
    return Row(
        "streams", f"{STREAMS:,} streams at once", "0 lost, ≤ 60 kB a stream",
        f"**{lost} lost, {each:.0f} kB** a stream", lost == 0 and each <= 60, [],
    )  # fmt: skip


def _bodies(ours: Serving, other: str) -> Row:
    headers = ["-H", f"Authorization: Bearer {KEY}"]
    file = ours.home / "hundred"
    file.write_bytes(bytes(100 << 20))
    rates: dict[str, list[float]] = {}
    before = resident(ours.pid)
    most = before
    for _ in range(5):
        for name, base in (("keyfob serve", ours.url), ("plain aiohttp proxy", other)):
            for way, words in (
                ("down", [f"{base}/download"]),
                ("up", ["-T", str(file), "-H", "Expect:", f"{base}/upload"]),
            ):
                begun = time.perf_counter()
                subprocess.run(
                    ["curl", "-sf", "-o", "/dev/null", "--noproxy", "*", *headers, *words],
                    check=True,
                    timeout=120,
                )
                rates.setdefault(f"{name} {way}", []).append(100 / (time.perf_counter() - begun))
                most = max(most, _peak(ours.pid))
    found = {name: statistics.median(each) for name, each in rates.items()}
    share = {
        way: found[f"keyfob serve {way}"] / found[f"plain aiohttp proxy {way}"] for way in ("down", "up")
    }
    more = most - before
    return Row(
        "bodies", "100 MB through the gateway", "≥ 0.5 × a plain aiohttp proxy, ≤ 20 MB more memory",
        f"**down {share['down']:.2f} ×, up {share['up']:.2f} ×**, {more:.0f} MB more",
        min(share.values()) >= 0.5 and more <= 20,
        [f"plain aiohttp proxy {found['plain aiohttp proxy down']:.0f} MB/s down, "
         f"{found['plain aiohttp proxy up']:.0f} MB/s up"],
        dict(rates),
    )  # fmt: skip


def _peak(pid: int) -> float:
    """The most memory that it had, in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0.0


# --- keys ---------------------------------------------------------------------------------------------------


def keys(ground: Ground, seconds: float) -> list[Row]:
    """Row `keys`: the whole `authenticate`."""
    say("checks of keys")
    from support.postgres import Postgres

    with contextlib.ExitStack() as stack:
        database = stack.enter_context(Postgres()).url
        file = ground.session.root / "keys.db"
        done = subprocess.run(
            [str(ground.python), str(HERE / "key_checks.py"), f"sqlite:///{file}", database, str(seconds)],
            env={**os.environ}, capture_output=True, text=True, check=False,
        )  # fmt: skip
    if done.returncode:
        raise RuntimeError(done.stderr[-500:])
    told = json.loads(done.stdout)
    rows = []
    for name, aim, by in (("sqlite", 50_000, "known"), ("postgresql", 10_000, "read")):
        known, read = told[name]["known"], told[name]["read"]
        measured = f"{known:,.0f}/s for known keys, {read:,.0f}/s each from the database"
        what = f"Checks of a caller's key, {'SQLite' if name == 'sqlite' else 'PostgreSQL'}"
        if by == "read":
            what += ", each from the database"
        rows.append(Row("keys", what, f"≥ {aim:,}/s", measured, told[name][by] >= aim, [], told[name]))
    measured = f"**{told['revoked']:.2f} s**, the longest of {told['times']}"
    what = "A revoked key is refused by another process"
    return [*rows, Row("keys", what, "≤ 1 s", measured, told["revoked"] <= 1, [])]
