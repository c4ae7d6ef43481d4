"""nginx and Caddy, with the configuration that `keyfob gateway config` prints, unchanged."""

from __future__ import annotations

import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from support.gateway_rig import Rig
from support.running import free_port

# What Debian's own file has outside of the included one. Its folders are the test's.
NGINX = """\
{modules}daemon off;
pid {folder}/pid;
user root;
error_log {folder}/error.log info;
events {{ worker_connections 4096; }}
http {{
    access_log {folder}/access.log;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {printed};
}}
"""
LUA = "include /usr/share/nginx/modules-available/mod-http-ndk.conf;\n"
LUA += "include /usr/share/nginx/modules-available/mod-http-lua.conf;\n"


@dataclass
class Engine:
    """`url` is where callers come."""

    rig: Rig
    url: str
    port: int
    folder: Path  # all that the engine writes

    def get(self, key: str, path: str, **words: Any) -> httpx.Response:
        method = words.pop("method", "GET")
        headers = {"Authorization": f"Bearer {key}", **words.pop("headers", {})}
        url = f"{self.url}/workshop/alice{path}"
        return httpx.request(method, url, headers=headers, trust_env=False, timeout=30, **words)

    def raw(self, text: bytes) -> bytes:
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(text)
            return connection.recv(65536)

    def files_with(self, secret: str) -> list[Path]:
        return [
            path
            for path in self.folder.rglob("*")
            if path.is_file() and not path.is_symlink() and secret.encode() in path.read_bytes()
        ]


@contextmanager
def engine_at(rig: Rig, kind: str, folder: Path, *words: str) -> Iterator[Engine]:
    """`kind`: nginx, nginx-lua (which keeps decisions) or caddy. `words`: more options of the command."""
    port = free_port()
    name = kind.partition("-")[0]
    printed = rig.bench.keyfob(
        "gateway",
        "config",
        name,
        "--listen",
        f"127.0.0.1:{port}",
        "--gateway",
        f"127.0.0.1:{rig.port}",
        *words,
    )
    assert printed.code == 0, printed.err
    file = folder / "printed.conf"
    file.write_text(printed.out)
    env = {"PATH": os.environ["PATH"], "HOME": str(folder), "XDG_DATA_HOME": str(folder / "data")}
    if name == "nginx":
        own = folder / "nginx.conf"
        own.write_text(NGINX.format(folder=folder, printed=file, modules=LUA if kind == "nginx-lua" else ""))
        command = ["nginx", "-e", str(folder / "error.log"), "-c", str(own)]
    else:
        secret = (rig.bench.keyfob_home / "data" / "engine.env").read_text().strip()
        env |= dict([secret.split("=", 1)])
        command = ["caddy", "run", "--adapter", "caddyfile", "--config", str(file)]
    with (folder / "output.log").open("w") as output:
        process = subprocess.Popen(command, env=env, stdout=output, stderr=output, stdin=subprocess.DEVNULL)
    try:
        _wait_for(port, process, folder / "output.log")
        yield Engine(rig, f"http://127.0.0.1:{port}", port, folder)
    finally:
        process.terminate()
        process.wait(30)


def _wait_for(port: int, process: subprocess.Popen[bytes], output: Path) -> None:
    for _ in range(200):
        assert process.poll() is None, output.read_text()
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(output.read_text())
