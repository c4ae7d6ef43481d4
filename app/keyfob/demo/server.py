"""Starts and stops the demo provider. Called by `keyfob demo` and by tests; Authlib and Flask load at
`start()`.

One threaded WSGI server on 127.0.0.1. A second start for the same home finds the first one and uses it;
another home's demo, or another program, on the port is a clear error.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from keyfob.core.errors import SettingWrong

if TYPE_CHECKING:
    from werkzeug.serving import BaseWSGIServer

    from keyfob.demo.clients import DemoClient
    from keyfob.demo.views import Pages

HOST = "127.0.0.1"
PORT = 9899


def _utc_now() -> datetime:
    return datetime.now(UTC)


class DemoServer:
    """A demo provider over `state_dir` (made 0700). `port` 0 takes any free one: for tests, as the issuer's
    address must stay the same for accounts to outlive a restart. `access_lifetime` and `device_interval` in
    seconds.
    """

    def __init__(
        self,
        state_dir: Path,
        *,
        port: int = PORT,
        access_lifetime: int = 60,
        clock: Callable[[], datetime] = _utc_now,
        rotate: bool = True,
        clients: tuple[DemoClient, ...] = (),
        device_interval: int = 5,
    ) -> None:
        self._folder = state_dir
        self._port = port
        self._access_lifetime = access_lifetime
        self._clock = clock
        self._rotate = rotate
        self._clients = clients
        self._device_interval = device_interval
        self._server: BaseWSGIServer | None = None
        self._thread: threading.Thread | None = None
        self._pages: Pages | None = None
        self.shared = False  # True if another process of this home serves; stop() then leaves it running

    @property
    def issuer(self) -> str:
        """The issuer URL, with the port that was bound."""
        return f"http://{HOST}:{self._port}"

    @property
    def counters(self) -> Mapping[str, int]:
        """What was asked since the start: requests, tokens, renewals, revocations, userinfo, greetings …"""
        return dict(self._pages.settings.counters) if self._pages else {}

    def start(self) -> DemoServer:
        """Serve, on a separate thread. Returns itself, listening. Raises SettingWrong `fixed_port_taken`, or
        `demo_missing` if the extra `demo` is not installed.
        """
        try:
            from werkzeug.serving import WSGIRequestHandler, make_server

            from keyfob.demo.settings import DemoSettings
            from keyfob.demo.store import DemoStore
            from keyfob.demo.web import fingerprint, make_app
        except ModuleNotFoundError as error:
            raise SettingWrong(
                "The demo provider is not installed",
                code="demo_missing",
                detail=str(error),
            ) from error

        class Handler(WSGIRequestHandler):
            server_version = "KeyfobDemo"
            sys_version = ""
            timeout = 15  # seconds; a browser's spare connection must not hold a thread forever

            def log(self, type: str, message: str, *args: object) -> None:
                """Request lines hold states and codes: they are not logged."""

        store = DemoStore(self._folder, lambda: self._clock().timestamp())
        try:
            bound = self._bind()
        except OSError as error:
            serving = _who_serves(self._port)
            if serving == fingerprint(store):
                self.shared = True
                return self
            who = "another Keyfob's demo provider" if serving else "another program"
            raise SettingWrong(
                f"{who[0].upper()}{who[1:]} uses port {self._port}, which the demo provider needs",
                code="fixed_port_taken",
                detail=str(error),
            ) from error
        self._port = bound.getsockname()[1]
        settings = DemoSettings(self.issuer, self._access_lifetime, self._rotate, self._device_interval)
        app = make_app(store, settings, self._clients)
        with bound:  # the server works on its own copy of the socket
            self._server = make_server(
                HOST, self._port, app, threaded=True, request_handler=Handler, fd=bound.fileno()
            )
        self._pages = app.extensions["keyfob.rooms"]
        self._thread = threading.Thread(
            target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="demo", daemon=True
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """Close the port; no error if it is closed already. Grants stay in the folder."""
        server, thread = self._server, self._thread
        self._server = self._thread = None
        if server is not None and thread is not None:
            server.shutdown()
            thread.join()
            server.server_close()

    def __enter__(self) -> DemoServer:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def revoke_everything(self, person: str) -> None:
        """End all grants of a user ("alice", "bob") at the provider, as "Sign out everywhere" does."""
        if self._pages is not None:
            self._pages.sign_out_everywhere(person)
            return
        connection = http.client.HTTPConnection(HOST, self._port, timeout=10)
        with contextlib.closing(connection):
            connection.request(
                "POST",
                "/playground/sign-out-everywhere",
                f"person={person}",
                {"Origin": self.issuer, "Content-Type": "application/x-www-form-urlencoded"},
            )
            connection.getresponse().read()

    def _bind(self) -> socket.socket:
        deadline = time.monotonic() + 1.0
        while True:
            bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            exclusive = getattr(socket, "SO_EXCLUSIVEADDRUSE", None)
            option = socket.SO_REUSEADDR if exclusive is None else exclusive
            bound.setsockopt(socket.SOL_SOCKET, option, 1)
            try:
                bound.bind((HOST, self._port))
                bound.listen(64)
                return bound
            except OSError:
                bound.close()
                # A demo that is just stopping lets go within a moment; one that answers is there to stay.
                if time.monotonic() > deadline or _who_serves(self._port) is not None:
                    raise
                time.sleep(0.1)


def _who_serves(port: int) -> str | None:
    """The fingerprint of the demo on this port, or None if there is none that answers."""
    connection = http.client.HTTPConnection(HOST, port, timeout=2)
    try:
        connection.request("GET", "/.well-known/keyfob-demo")
        answer = json.loads(connection.getresponse().read(4096))
        return str(answer["store"]) if answer.get("keyfob_demo") == 1 else None
    except (OSError, http.client.HTTPException, ValueError, KeyError, AttributeError, TypeError):
        return None
    finally:
        connection.close()
