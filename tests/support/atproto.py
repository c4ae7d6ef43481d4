"""Bluesky's own data server with its directory, as a test server on loopback.

with AtprotoServer(tmp_path) as server:
    did = server.add("alice.test", "a password")
    server.dns_txt            # what the world's DNS would say of its handles
"""

from __future__ import annotations

import json
import os
import select
import subprocess
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from types import TracebackType
from typing import Any

import httpx

from support import node

START_SECONDS = 60


class AtprotoServer:
    """Start with `with`. `data` is a folder of the test's own. The server finds `hosts` at their
    addresses, and trusts the certificates of `authority`, a PEM file.
    """

    def __init__(
        self, data: Path, *, hosts: Mapping[str, str] | None = None, authority: Path | None = None
    ) -> None:
        self._data = data
        self._more = {"HOSTS": json.dumps(dict(hosts or {}))}
        if authority is not None:
            self._more["NODE_EXTRA_CA_CERTS"] = str(authority)
        self.pds = self.plc = ""
        self._handles: dict[str, str] = {}

    def __enter__(self) -> AtprotoServer:
        self._data.mkdir(parents=True, exist_ok=True)
        folder = node.installed("atproto")
        self._process = subprocess.Popen(
            [str(node.node(node.SERVERS["atproto"])), "server.mjs"],
            cwd=folder,
            env={
                **os.environ,
                "DATA_DIRECTORY": str(self._data),
                "LOG_ENABLED": "false",
                "NODE_NO_WARNINGS": "1",
                **self._more,
            },
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self._process.stdout is not None
        ready, _, _ = select.select([self._process.stdout], [], [], START_SECONDS)
        line = self._process.stdout.readline() if ready else b""
        if not line:
            self.stop()
            raise RuntimeError("the data server did not start")
        where = json.loads(line)
        self.pds, self.plc = where["pds"], where["plc"]
        self._http = httpx.Client(base_url=self.pds, timeout=30, trust_env=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()
        self.stop()

    def stop(self) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()

    def go_ahead(self, by: timedelta) -> None:
        """Put the server's clock ahead of the system's."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{int(by.total_seconds())}\n".encode())
        self._process.stdin.flush()
        self._process.stdout.readline()

    def call(self, method: str, token: str | None = None, **body: Any) -> dict[str, Any]:
        """A procedure of the data server, by its NSID."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        answer = self._http.post(f"/xrpc/{method}", json=body, headers=headers)
        answer.raise_for_status()
        found: dict[str, Any] = answer.json()
        return found

    def add(self, handle: str, password: str, *, display_name: str | None = None) -> str:
        """A new account; returns its DID."""
        made = self.call(
            "com.atproto.server.createAccount",
            handle=handle,
            email=f"{handle.partition('.')[0]}@example.test",
            password=password,
        )
        did: str = made["did"]
        self._handles[handle] = did
        if display_name is not None:
            self.call(
                "com.atproto.repo.putRecord",
                made["accessJwt"],
                repo=did,
                collection="app.bsky.actor.profile",
                rkey="self",
                record={"$type": "app.bsky.actor.profile", "displayName": display_name},
            )
        return did

    def dns_txt(self, name: str) -> tuple[str, ...]:
        """What DNS would answer: handles below `.test` exist in no real one."""
        did = self._handles.get(name.removeprefix("_atproto."))
        return () if did is None else (f"did={did}",)
