"""Where the agent listens, and who may come in: a Unix socket of the user's own, or, if there are none,
loopback TCP with a key.

A gate promises that what is behind it is spoken to by this person's programs alone. What comes through a gate
made for forwarding, or from a program that forwards (ssh), may speak for another machine, and is treated
separately.
"""

from __future__ import annotations

import ctypes
import hmac
import json
import os
import secrets
import socket
import stat
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from keyfob.agent.http import Answer, BadRequestError, Incoming, document
from keyfob.agent.succession import Succession, inherited_file
from keyfob.core.errors import SettingWrong
from keyfob.process import agent_hello
from keyfob.process.home import write_private

BACKLOG = 1024
HOST = "127.0.0.1"
# Their end of a forwarded socket is not the program that asks, but the
# one that carries it to another machine.
_UCRED = struct.Struct("3i")  # pid, uid, gid
# Programs by their files; `dropbearmulti` is the one file behind several names.
CARRIERS = frozenset({"ssh", "sshd", "sshd-session", "dropbear", "dbclient", "dropbearmulti", "autossh"})


@dataclass(frozen=True, slots=True)
class Handed:
    """A listening socket that this process was started with. `file`: the socket's file (device and inode), if
    this process has to remove it; None if it is the system's.
    """

    sock: socket.socket
    file: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Peer:
    """Who asks. `pid` and `uid` as the system reports them for the connection; None if it does not.
    `forwarded`: the asker may be on another machine.
    """

    pid: int | None = None
    uid: int | None = None
    forwarded: bool = False


class Endpoint(Protocol):
    """One place that the agent listens at. Its methods may be called from any thread."""

    def open(self) -> socket.socket:
        """A listening socket that does not block. Raises SettingWrong."""

    def close(self) -> None:
        """Take away what `open` left on the disk. Idempotent."""

    def hands_on(self, sock: socket.socket, /) -> bool:
        """Whether another version of Keyfob serves here next. Then it gets the listening socket, and `close`
        leaves everything in its place.
        """

    def live(self) -> bool:
        """Whether somebody else serves here now."""

    def peer(self, sock: socket.socket) -> Peer | None:
        """Who is at the other end; None if it is another user."""

    def check(self, request: Incoming) -> None:
        """Raises BadRequestError for what is not allowed here."""

    def hello(self, request: Incoming) -> Answer | None:
        """The answer to `GET /v1/hello`, which is given at once and needs no key; None for other requests.
        Raises BadRequestError.
        """


class UnixEndpoint:
    """A Unix socket, 0600 in a 0700 folder, to this user's processes alone. `handed`: a listening socket that
    systemd, launchd or the version before made. `forwarding`: made for `ssh -R`; what comes in counts as
    another machine's. `succession`: of the process, if the next version gets this socket.
    """

    def __init__(
        self,
        path: Path,
        handed: Handed | None = None,
        *,
        forwarding: bool = False,
        succession: Succession | None = None,
    ) -> None:
        self._path = path
        self._handed = handed
        self._forwarding = forwarding
        self._succession = succession
        self._bound: tuple[int, int] | None = None

    def open(self) -> socket.socket:
        """Bind the socket (0600), unless systemd handed one over. Raises SettingWrong."""
        if self._handed is not None:
            self._bound = self._handed.file
            return self._handed.sock
        sock = bind_socket(self._path)
        found = self._path.stat()
        self._bound = (found.st_dev, found.st_ino)
        return sock

    def close(self) -> None:
        """Remove the socket file, if it is still the one that this agent bound."""
        bound, self._bound = self._bound, None
        if bound is None:
            return
        try:
            found = self._path.lstat()
            # Another keeper may have replaced a socket that it found dead: that one is not ours to remove.
            if (found.st_dev, found.st_ino) == bound:
                self._path.unlink()
        except OSError:
            pass

    def hands_on(self, sock: socket.socket) -> bool:
        """Whether the process is about to become another version."""
        if self._succession is None or not self._succession.asked:
            return False
        self._succession.keep(sock, self._bound)
        self._bound = None
        return True

    def live(self) -> bool:
        """Whether an agent answers at the socket now."""
        return self._handed is None and answers(self._path)

    def peer(self, sock: socket.socket) -> Peer | None:
        """The process at the other end, by the kernel's word; None for another user's."""
        pid, uid = credentials_of(sock)
        if uid is not None and uid != os.getuid():
            return None
        return Peer(pid, uid, self._forwarding or carries(pid))

    def check(self, request: Incoming) -> None:
        """Raises BadRequestError for a request that a web page could have sent."""
        refuse_web_pages(request)

    def hello(self, request: Incoming) -> Answer | None:
        """The sign of life, if that is what was asked for."""
        if not _is_hello(request):
            return None
        self.check(request)
        return document({"agent": "keyfob"})


class TcpEndpoint:
    """Loopback TCP for Windows. `file` gets the address and the key that opens it, for this user's eyes
    alone.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._key = secrets.token_urlsafe(32)
        self._port = 0

    def open(self) -> socket.socket:
        """Bind a free port on 127.0.0.1, and write it with its key to the owner's file. Raises
        SettingWrong.
        """
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            if hasattr(socket, "SO_EXCLUSIVEADDRUSE"):
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_EXCLUSIVEADDRUSE, 1)
            sock.bind((HOST, 0))
            sock.listen(BACKLOG)
            sock.setblocking(False)
            self._port = sock.getsockname()[1]
            write_private(self._file, json.dumps({"port": self._port, "key": self._key}).encode())
        except OSError as error:
            sock.close()
            raise SettingWrong(f"The agent's port cannot be opened: {error.strerror}") from error
        return sock

    def close(self) -> None:
        """Remove the file, unless another agent has written it since."""
        # The next keeper's file names another key; only our own goes.
        if self._saved() == (self._port, self._key):
            self._file.unlink(missing_ok=True)

    def hands_on(self, _: socket.socket) -> bool:
        """Never: on Windows no copy updates itself."""
        return False

    def live(self) -> bool:
        """Whether the agent that the file names proves that it knows the key."""
        saved = self._saved()
        if saved is None or saved[1] == self._key:
            return False
        return agent_hello.is_agent(*saved)  # another program may have the port of an agent that was killed

    def peer(self, _: socket.socket) -> Peer | None:
        """Unknown, and never None: a TCP peer shows the key in its request instead."""
        return Peer()  # the key says who it is

    def check(self, request: Incoming) -> None:
        """Raises BadRequestError for a wrong host, a web page, or a request without the key."""
        self._check_place(request)
        scheme, _, key = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not hmac.compare_digest(key.strip().encode(), self._key.encode()):
            raise BadRequestError(403, "the key is missing or wrong")

    def hello(self, request: Incoming) -> Answer | None:
        """The sign of life with the proof of the key, if that is what was asked for."""
        if not _is_hello(request):
            return None
        self._check_place(request)
        hello = {"agent": "keyfob"}
        challenge = request.query.get("challenge")
        if challenge is not None:
            proof = agent_hello.proof(self._key, self._port, challenge)
            if proof is None:
                raise BadRequestError(400, "the challenge must have 32 hexadecimal characters")
            hello["proof"] = proof
        return document(hello)

    def _check_place(self, request: Incoming) -> None:
        refuse_web_pages(request)
        if request.headers.get("host", "").lower() != f"{HOST}:{self._port}":
            raise BadRequestError(403, "this host is not served")

    def _saved(self) -> tuple[int, str] | None:
        try:
            saved = json.loads(self._file.read_bytes())
            return int(saved["port"]), str(saved["key"])
        except (OSError, ValueError, KeyError, TypeError):
            return None


def _is_hello(request: Incoming) -> bool:
    return request.method == "GET" and request.target.partition("?")[0] == agent_hello.TARGET


def refuse_web_pages(request: Incoming) -> None:
    """Raises BadRequestError if a browser sent this for a page. Nothing allows an origin, so a preflight ends
    here.
    """
    headers = request.headers
    if "origin" in headers or headers.get("sec-fetch-site", "none") != "none":
        raise BadRequestError(403, "web pages are not served")
    if request.method == "OPTIONS" or "access-control-request-method" in headers:
        raise BadRequestError(403, "web pages are not served")


# --- the socket ---------------------------------------------------------------------------------------------


def bind_socket(path: Path) -> socket.socket:
    """A listening Unix socket at `path`, 0600 in a folder that only this user can write to. A stale one is
    replaced; a live one, or one that is not ours, is not. Raises SettingWrong.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder = path.parent.stat()
    except OSError as error:
        raise SettingWrong(
            f"The folder of the agent's socket cannot be used: {error.strerror}",
            code="socket_unusable",
        ) from error
    # A folder that others may write to would let them put a socket of theirs in our place.
    if folder.st_uid != os.getuid() or folder.st_mode & 0o022:
        raise SettingWrong(
            f"{path.parent} can be written by other users",
            code="socket_unusable",
        )
    try:
        found = path.lstat()
    except FileNotFoundError:
        pass
    else:
        if not stat.S_ISSOCK(found.st_mode) or found.st_uid != os.getuid():
            raise SettingWrong(
                f"{path} is not a socket of yours, so the agent cannot use it",
                remedy="Remove it, or set KEYFOB_SOCK.",
            )
        if answers(path):
            raise SettingWrong("An agent is already running", remedy="Use that agent.")
        path.unlink()
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        # fchmod before bind gives the file its mode from the start; no umask of the whole process is touched.
        os.fchmod(sock.fileno(), 0o600)
        sock.bind(str(path))
        path.chmod(0o600)
        sock.listen(BACKLOG)
    except OSError as error:
        sock.close()
        raise SettingWrong(f"The agent's socket cannot be created: {error.strerror}") from error
    sock.setblocking(False)
    return sock


def answers(path: Path) -> bool:
    """Whether somebody serves this socket now."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(str(path))
        except OSError:
            return False
        return True


def credentials_of(sock: socket.socket) -> tuple[int | None, int | None]:
    """The other end's process and user, as the kernel knows them."""
    system: str = sys.platform
    if system == "linux":
        raw = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _UCRED.size)
        pid, uid, _ = _UCRED.unpack(raw)
        return pid, uid
    if system == "darwin":
        # LOCAL_PEERCRED: struct xucred, whose second word is the user; LOCAL_PEERPID for the process.
        _, uid = struct.unpack_from("=II", sock.getsockopt(0, 1, 76))
        (pid,) = struct.unpack("i", sock.getsockopt(0, 2, 4))
        return pid, uid
    return None, None


def carries(pid: int | None) -> bool:
    """Whether a process carries the connection to another machine, or may: a program of `CARRIERS`, and one
    that does not let its own user look at it. sshd's process for a user is such a one on purpose. Keyfob's
    command lets us look.
    """
    try:
        # Not pathlib: it takes a third of an answer, and each client of the socket comes through here.
        name = os.readlink(f"/proc/{pid}/exe").rpartition("/")[2]  # noqa: PTH115
    except PermissionError:
        return True
    except OSError:
        return False  # the process has ended, or the system does not report processes in this way
    return name.removesuffix(" (deleted)") in CARRIERS


def handed_over() -> Handed | None:
    """The listening socket that systemd (sd_listen_fds), launchd or the version before (`succession`) started
    us with, None if there is none.
    """
    file = inherited_file()
    if sys.platform == "darwin":
        sock = from_launchd(ctypes.CDLL(None))
        return None if sock is None else Handed(sock)
    if os.environ.get("LISTEN_PID") != str(os.getpid()) or os.environ.get("LISTEN_FDS") != "1":
        return None
    for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"):
        os.environ.pop(name, None)  # not for the programs that we start
    os.set_inheritable(3, False)
    return Handed(_listening(3), file)


def from_launchd(library: ctypes.CDLL) -> socket.socket | None:
    """The socket that the job's property list calls Listeners (launch_activate_socket(3))."""
    handles, count = ctypes.POINTER(ctypes.c_int)(), ctypes.c_size_t()
    try:
        failed = library.launch_activate_socket(b"Listeners", ctypes.byref(handles), ctypes.byref(count))
    except AttributeError:
        return None
    if failed or not count.value:
        return None  # started by hand: there is no job to ask for
    handle = handles[0]
    library.free(handles)
    os.set_inheritable(handle, False)
    return _listening(handle)


def _listening(handle: int) -> socket.socket:
    sock = socket.socket(fileno=handle)
    sock.setblocking(False)
    return sock


def endpoint_for(path: Path, handed: Handed | None = None, succession: Succession | None = None) -> Endpoint:
    """The gate of this system. `path` is the socket's; if there are no Unix sockets, the key's file is next
    to it. `handed` and `succession` as in UnixEndpoint.
    """
    if sys.platform == "win32":
        return TcpEndpoint(path.with_suffix(".json"))
    return UnixEndpoint(path, handed, succession=succession)
