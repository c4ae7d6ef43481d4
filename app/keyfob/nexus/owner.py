"""One process runs the downloads: the window, or a command. The others ask it, over a socket of its own.

The link of the site's button comes by a command that the browser starts. It goes to the owner through memory
alone: its key is never written to a disk. On POSIX, a Unix socket in the folder of the agent's socket, which
only this user may enter; on Windows, a port of loopback with a key in a file that only this user may read.
One JSON object on a line asks, one answers.
"""

from __future__ import annotations

import contextlib
import hmac
import json
import logging
import os
import secrets
import socket
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keyfob.core.error_codes import known_code
from keyfob.core.errors import Fault, KeyfobError, NotFound, SettingWrong, SignInNeeded, Transient, Usage
from keyfob.process import paths
from keyfob.process.home import make_private, write_private

if TYPE_CHECKING:
    from filelock import FileLock

log = logging.getLogger(__name__)
SECONDS = 60.0  # for an answer: adding a download asks the API
LINE_MOST = 4 * 1024 * 1024  # bytes of an answer
ASKED_MOST = 16 * 1024  # bytes of a request
Serve = Callable[[Mapping[str, Any]], dict[str, Any]]
_KINDS = {kind.__name__: kind for kind in (Fault, Usage, SignInNeeded, Transient, NotFound, SettingWrong)}


class NoOwnerError(Exception):
    """No process runs the downloads."""


class Owner:
    """The right to run the downloads, and a socket for the others. `Transfers` guards it against threads."""

    def __init__(self, state: Path, env: Mapping[str, str], serve: Serve) -> None:
        self._state = state
        self._env = env
        self._serve = serve
        self._lock: FileLock | None = None
        self._socket: socket.socket | None = None

    @property
    def held(self) -> bool:
        """Whether this process is the owner."""
        return self._lock is not None

    def take(self) -> bool:
        """Become the owner, if no other process is."""
        if self._lock is not None:
            return True
        from filelock import FileLock, Timeout

        path = self._state / "nexus-downloads.lock"
        make_private(path)
        lock = FileLock(path, mode=0o600, thread_local=False)  # another thread may release it
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return False
        self._lock = lock
        try:
            self._listen()
        except OSError as error:
            # The downloads run all the same; only links from the browser have to be pasted.
            log.warning("the socket for downloads cannot be opened: %s", error.strerror)
        return True

    def release(self) -> None:
        """Let another process be the owner."""
        sock, self._socket = self._socket, None
        if sock is not None:
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)
            sock.close()
            with contextlib.suppress(OSError):
                _place(self._env).unlink(missing_ok=True)
        lock, self._lock = self._lock, None
        if lock is not None:
            lock.release()

    def _listen(self) -> None:
        place = _place(self._env)
        key = ""
        if _unix():
            place.unlink(missing_ok=True)  # of an owner that was killed: we hold the lock
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            sock.bind(str(place))
            place.chmod(0o600)
        else:
            sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            sock.bind(("127.0.0.1", 0))
            key = secrets.token_urlsafe(32)
            document = {"port": sock.getsockname()[1], "key": key}
            write_private(place, json.dumps(document).encode())
        sock.listen(8)
        self._socket = sock
        threading.Thread(target=self._accept, args=(sock, key), name="nexus-owner", daemon=True).start()

    def _accept(self, sock: socket.socket, key: str) -> None:
        while True:
            try:
                peer, _ = sock.accept()
            except OSError:
                return
            threading.Thread(target=self._answer, args=(peer, key), name="nexus-peer", daemon=True).start()

    def _answer(self, peer: socket.socket, key: str) -> None:
        with contextlib.suppress(OSError, ValueError), peer:
            peer.settimeout(SECONDS)
            with peer.makefile("rwb") as stream:
                asked = json.loads(stream.readline(ASKED_MOST))
                if not isinstance(asked, dict) or not hmac.compare_digest(str(asked.get("key", "")), key):
                    return
                stream.write(json.dumps(self._reply(asked)).encode() + b"\n")

    def _reply(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return self._serve(asked)
        except KeyfobError as error:
            kind = next((name for name, each in _KINDS.items() if isinstance(error, each)), "Fault")
            return {
                "error": kind,
                "message": error.full_message(),
                "code": error.code,
                "advice": error.advice.value,
                "facts": dict(error.facts),
            }
        except Exception as error:
            log.exception("a request about downloads failed")
            return {"error": "Fault", "message": type(error).__name__, "code": "internal", "advice": "report"}


def ask(env: Mapping[str, str], request: Mapping[str, Any]) -> dict[str, Any]:
    """What the owner answers. Raises NoOwnerError, and the KeyfobError that the owner met."""
    with _connected(env) as (sock, key), sock.makefile("rwb") as stream:
        try:
            stream.write(json.dumps({**request, "key": key}).encode() + b"\n")
            stream.flush()
            answer = json.loads(stream.readline(LINE_MOST))
        except (OSError, ValueError):
            raise Transient("The process that runs the downloads does not answer", code="busy") from None
    if not isinstance(answer, dict):
        raise Transient("The process that runs the downloads does not answer", code="busy")
    if "error" in answer:
        kind = _KINDS.get(str(answer["error"]), Fault)
        raise kind(
            str(answer.get("message", "")),
            code=known_code(answer.get("code"), answer.get("advice")),
            facts=answer.get("facts") or {},
        )
    return answer


@contextlib.contextmanager
def _connected(env: Mapping[str, str]) -> Iterator[tuple[socket.socket, str]]:
    key = ""
    address: str | tuple[str, int]
    try:
        place = _place(env)
        if _unix():
            family, address = socket.AF_UNIX, str(place)
        else:
            found = json.loads(place.read_bytes())
            family, address, key = socket.AF_INET, ("127.0.0.1", int(found["port"])), str(found["key"])
        sock = socket.socket(family, socket.SOCK_STREAM)
    except (OSError, ValueError, KeyError, paths.NotOursError):
        raise NoOwnerError from None
    with sock:
        sock.settimeout(SECONDS)
        try:
            sock.connect(address)
        except OSError:
            raise NoOwnerError from None
        yield sock, key


def _unix() -> bool:
    return hasattr(socket, "AF_UNIX") and os.name != "nt"


def _place(env: Mapping[str, str]) -> Path:
    """Beside the agent's socket, wherever a longer path than a socket takes has put that."""
    plain = {name: value for name, value in env.items() if name != "KEYFOB_SOCK"}
    return Path(paths.socket_file(plain)).with_name("nexus.sock" if _unix() else "nexus.json")
