"""The client of the agent's socket: the fast path of `keyfob token`, and `keyfob.token`, `keyfob.accounts`, `keyfob.Auth`.

Imports only `os`, `sys` and `_socket` until it needs more, so that a token costs little more than the start of the
interpreter. If no agent runs, the `keyfob` command does the work in a separate process, under the same locks. Tokens are
passed on and kept only in this process's memory.
"""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    import threading
    from collections.abc import AsyncGenerator, Callable, Generator, Mapping, Sequence
    from typing import Any

    import httpx

    from keyfob.core.repeats import Repeats

    _Again = tuple[str | None, str | None]

TIMEOUT = 90.0  # seconds: a renewal may take 30, and somebody else's before it as many
SILENCE = 3.0  # seconds without an answer after which the agent is asked for a sign of life
SIGN_OF_LIFE = 7.0  # seconds it has to give one
SILENT_FOR = 60.0  # seconds for which an agent that gave none is left alone
JSON = "application/json"
PLAIN = "text/plain"
KEYCHAIN_EXIT = "4"  # the exit code of a KeychainError, as the agent names it
HEADER = "text/x-keyfob-header"
_SAFE = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._@-/"


class AgentGoneError(Exception):
    """There is no agent at the socket, or it went away before it answered."""


# --- one exchange ---------------------------------------------------------------------------------------------


# Called when the agent has been silent for a while, once a process: a command on a terminal says so.
on_wait: Callable[[], None] | None = None
_silent_until = 0.0  # by the monotonic clock: an agent that showed no sign of life is not asked again before


class _Place:
    """Where the agent listens. `key`: of a port; empty for a socket."""

    def __init__(self) -> None:
        import _socket

        from keyfob.process.paths import NotOursError, socket_file

        try:
            path = socket_file(os.environ)
        except (OSError, NotOursError) as error:
            raise AgentGoneError(str(error)) from None
        self.address: str | tuple[str, int] = path
        self.host, self.key, self.port = "keyfob", "", 0
        family = getattr(_socket, "AF_UNIX", None)
        told = _loopback(path) if family is None or path.endswith(".json") else None
        if told is not None:
            self.port, self.key = told
            self.address, self.host = ("127.0.0.1", self.port), f"127.0.0.1:{self.port}"
            family = _socket.AF_INET
        if family is None:
            raise AgentGoneError("no agent is running")
        self._family: int = family

    def connect(self, seconds: float) -> _socket.socket:
        """A new connection. Raises OSError."""
        import _socket

        sock = _socket.socket(self._family, _socket.SOCK_STREAM)
        sock.settimeout(seconds)
        try:
            sock.connect(self.address)
        except OSError:
            sock.close()
            raise
        return sock


def exchange(
    method: str, target: str, accept: str = "", body: bytes = b""
) -> tuple[int, dict[str, str], bytes]:
    """One request to the agent on its own connection: status, headers, body. An agent may take its time, but not
    without a sign of life. Raises AgentGoneError.
    """
    if is_agent_silent():
        raise AgentGoneError("the agent does not answer")
    place = _Place()
    head = f"{method} {target} HTTP/1.1\r\nHost: {place.host}\r\nConnection: close\r\nAccept: {accept}\r\n"
    if place.key:
        head += f"Authorization: Bearer {place.key}\r\n"
    head += f"Content-Length: {len(body)}\r\n\r\n"
    try:
        sock = place.connect(SIGN_OF_LIFE)
        try:
            if place.key:
                from keyfob.process.agent_hello import proves_itself

                # An agent that was killed leaves its file behind, and another program may have its port.
                if not proves_itself(sock, place.port, place.key):
                    raise AgentGoneError("another program has the agent's port")
            sock.settimeout(SIGN_OF_LIFE)
            _send(sock, head.encode("ascii") + body)
            return _parsed(_received(sock, place))
        finally:
            sock.close()
    except OSError as error:
        raise AgentGoneError(str(error)) from None


def _send(sock: _socket.socket, data: bytes) -> None:
    while data:
        data = data[sock.send(data) :]


def _received(sock: _socket.socket, place: _Place) -> bytes:
    """All that comes until the other end closes. Raises OSError, and AgentGoneError for an agent that does not live."""
    global _silent_until, on_wait
    end = time.monotonic() + TIMEOUT
    sock.settimeout(SILENCE)
    chunks: list[bytes] = []
    while True:
        try:
            chunk = sock.recv(65536)
        except TimeoutError:
            say, on_wait = on_wait, None
            if say is not None:
                say()
            if time.monotonic() < end and _lives(place):
                continue
            _silent_until = time.monotonic() + SILENT_FOR
            raise AgentGoneError("the agent does not answer") from None
        if not chunk:
            return b"".join(chunks)
        chunks.append(chunk)


def _lives(place: _Place) -> bool:
    """Whether the agent answers what it answers at once, while it works on what takes long."""
    try:
        sock = place.connect(SIGN_OF_LIFE)
    except OSError:
        return False
    try:
        _send(sock, f"GET /v1/hello HTTP/1.1\r\nHost: {place.host}\r\nConnection: close\r\n\r\n".encode())
        return bool(sock.recv(1))
    except OSError:
        return False
    finally:
        sock.close()


def _loopback(path: str) -> tuple[int, str] | None:
    """The port and the key of an agent that has no Unix socket, from its file next to where that would be."""
    import json

    try:
        with open(os.path.splitext(path)[0] + ".json", "rb") as file:
            told = json.loads(file.read())
        return int(told["port"]), str(told["key"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _parsed(raw: bytes) -> tuple[int, dict[str, str], bytes]:
    head, blank, body = raw.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    words = lines[0].split(" ", 2)
    if not blank or len(words) < 2 or not words[1].isdecimal():
        raise AgentGoneError("the agent stopped")
    headers = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    length = headers.get("content-length", "")
    if length.isdecimal() and len(body) < int(length):
        raise AgentGoneError("the agent stopped")
    return int(words[1]), headers, body


def _target(kind: str, ref: str, query: str = "") -> str:
    """The address of an account. Refs hold letters, digits and `._@-/` alone; anything else is not an account."""
    if not ref or any(char not in _SAFE for char in ref) or ".." in ref.split("/"):
        raise AgentGoneError("no account has this name")
    return f"/v1/{kind}/{ref}{query}"


# --- the fast path of `keyfob token` ----------------------------------------------------------------------------


def asked_for(arguments: Sequence[str]) -> tuple[str, str, str] | None:
    """What `keyfob token` was asked: account, `min_life` in digits or empty, and PLAIN, HEADER or JSON. None for
    anything but a plain question, which the whole program has to judge.
    """
    ref, min_life, accept, rest = "", "", PLAIN, list(arguments)
    while rest:
        word = rest.pop(0)
        if word == "--min-life" and rest:
            min_life = rest.pop(0)
        elif word.startswith("--min-life="):
            min_life = word[11:]
        elif word == "--json" and accept == PLAIN:
            accept = JSON
        elif word == "--header" and accept == PLAIN:
            accept = HEADER
        elif word.startswith("-") or ref:
            return None
        else:
            ref = word
    if not ref or (min_life and not min_life.isdecimal()):
        return None
    return ref, min_life, accept


def tell_on_terminal() -> None:
    """From now on, a command that waits for the agent says so where a user sees it."""
    global on_wait
    on_wait = _say_waiting


def _say_waiting() -> None:
    if os.isatty(2):
        os.write(2, "Waiting for the Keyfob agent…\n".encode())


def is_agent_silent() -> bool:
    """Whether the agent gave no sign of life when it was last asked, a moment ago."""
    return time.monotonic() < _silent_until


def fast_token(arguments: Sequence[str]) -> int | None:
    """`keyfob token` through a running agent: its exit code, or None if the whole program has to do it."""
    asked = asked_for(arguments)
    if asked is None:
        return None
    ref, min_life, accept = asked
    tell_on_terminal()
    try:
        query = f"?min_life={min_life}" if min_life else ""
        status, headers, body = exchange("GET", _target("token", ref, query), accept)
    except AgentGoneError:
        return None
    exit_code = headers.get("keyfob-exit", "")
    if status == 200:
        os.write(1, body if body.endswith(b"\n") else body + b"\n")
        return 0
    if not exit_code.isdecimal():
        return None
    if exit_code == KEYCHAIN_EXIT:
        from keyfob.process.terminal import can_ask

        if can_ask():
            return None  # the whole program can have the user unlock it
    # A user reads the sentence, a script the object: as the whole program prints them.
    os.write(2, body if accept == JSON else b"keyfob: " + body + b"\n")
    return int(exit_code)


# --- Python -----------------------------------------------------------------------------------------------------

_memory: dict[tuple[str, float | None], tuple[str, float]] = {}


def token(account: str, *, min_life: float | None = None, rejected: str | None = None) -> str:
    """A valid access token or key of `account` (`provider/label`, or `provider` while it is the only one there).

    Renewed first where fewer than `min_life` seconds are left (default 60; 20 % of shorter lifetimes). `rejected`
    names a token that the API refused, so that it is replaced. Kept in this process's memory until then. The caller
    owns the token and must not log or store it. Raises `keyfob.KeyfobError`. Thread-safe; blocks.
    """
    key = (account, min_life)
    if rejected is None:
        held = _memory.get(key)
        if held is not None and time.time() < held[1]:
            return held[0]
    answer = _answer(account, min_life, rejected)
    text = str(answer["token"])
    _memory[key] = (text, _keep_until(answer, min_life))
    return text


def accounts() -> list[dict[str, Any]]:
    """All accounts, as `keyfob accounts --json` shows them. Raises `keyfob.KeyfobError`. Blocks."""
    try:
        return accounts_from_agent()
    except AgentGoneError:
        found: list[dict[str, Any]] = _command(["accounts"])["accounts"]
        return found


def accounts_from_agent() -> list[dict[str, Any]]:
    """The same from a running agent alone. Raises AgentGoneError if there is none, and `keyfob.KeyfobError`."""
    listed: list[dict[str, Any]] = _document("GET", "/v1/accounts")["accounts"]
    return listed


def account_from_agent(account: str) -> dict[str, Any]:
    """One of them. Raises as `accounts_from_agent`."""
    return _document("GET", _target("accounts", account))


def _document(method: str, target: str, body: bytes = b"") -> dict[str, Any]:
    import json

    status, _, raw = exchange(method, target, "application/json", body)
    answer: dict[str, Any] = json.loads(raw)
    if status != 200:
        raise _error(answer)
    return answer


def forget(account: str | None = None) -> None:
    """Drop what this process remembers of one account's tokens, or of all."""
    for key in [key for key in _memory if account in (None, key[0])]:
        _memory.pop(key, None)
    for origin in [origin for origin in _signed_memory if account in (None, origin[0])]:
        _signed_memory.pop(origin, None)


def lease(account: str, *, min_life: float | None = None, rejected: str | None = None) -> dict[str, Any]:
    """The token with what is known of it, as `keyfob token --json` answers: account, token, token_type, expires_at,
    scopes. Nothing is remembered. Raises `keyfob.KeyfobError`. Blocks.
    """
    return _answer(account, min_life, rejected)


def _answer(account: str, min_life: float | None, rejected: str | None) -> dict[str, Any]:
    try:
        return from_agent(account, min_life=min_life, rejected=rejected)
    except AgentGoneError:
        arguments = ["token", account]
        if min_life is not None:
            arguments += ["--min-life", f"{min_life:g}"]
        if rejected is not None:
            return _command([*arguments, "--rejected-stdin"], rejected)
        return _command(arguments)


def from_agent(account: str, *, min_life: float | None = None, rejected: str | None = None) -> dict[str, Any]:
    """The same from a running agent alone. Raises AgentGoneError if there is none, and `keyfob.KeyfobError`."""
    import json

    if rejected is not None:
        body = json.dumps({"rejected": rejected}).encode()
        return _document("POST", _target("token", account), body)
    query = "" if min_life is None else f"?min_life={min_life:g}"
    return _document("GET", _target("token", account, query))


def header_from_agent(account: str) -> tuple[str, str]:
    """The name and value of the header that carries the token, from a running agent alone. Raises as `from_agent`."""
    status, _, raw = exchange("GET", _target("token", account), HEADER)
    if status != 200:
        from_agent(account)  # the same refusal, with its code
        raise AgentGoneError("the agent refused the request without a reason")
    name, _, value = raw.decode().strip().partition(": ")
    return name, value


def _keep_until(answer: Mapping[str, Any], min_life: float | None) -> float:
    """When memory must be asked no more: a fifth of what is left is never served from it, nor more than a minute."""
    now = time.time()
    expires = answer.get("expires_at")
    if not expires:
        return now + 30.0
    from datetime import datetime

    from keyfob.core.min_life import min_life as life_of

    left = datetime.fromisoformat(str(expires).replace("Z", "+00:00")).timestamp() - now
    life = life_of(left, min_life)
    # A revoked or replaced token is noticed within half a minute even if the API is not asked.
    return now + max(0.0, min(left - life, 30.0))


def _command(arguments: Sequence[str], stdin: str | None = None) -> dict[str, Any]:
    """The same by the `keyfob` command: the engine and its keychain stay out of this process. Raises
    `keyfob.KeyfobError`.
    """
    import subprocess

    from keyfob.core.errors import Fault
    from keyfob.process.own_process import FD_VARIABLE, own_command

    # The descriptor stays here, and its number may be another file's there.
    environ = {name: value for name, value in os.environ.items() if name != FD_VARIABLE}
    if is_agent_silent():
        environ["KEYFOB_SOCK"] = os.devnull  # the command does not wait for that agent again
    try:
        done = subprocess.run(  # noqa: S603  (our own program; the token goes by stdin and stdout only)
            [*own_command(), *arguments, "--json"],
            input=stdin if stdin is not None else "",
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT * 2,
            env=environ,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Fault("The keyfob command did not finish in time") from None
    except OSError as error:
        raise Fault(f"Keyfob could not start the keyfob command: {error.strerror}") from None
    if done.returncode == 0:
        answer = _object(done.stdout)
        if answer is None:
            raise Fault("The keyfob command printed nothing")
        return answer
    # The object is one line at the end; what comes before it is progress and advice.
    told = next((found for line in reversed(done.stderr.splitlines()) if (found := _object(line))), None)
    raise _error({"exit": done.returncode, **(told or {"message": "The keyfob command failed"})})


def _object(text: str) -> dict[str, Any] | None:
    """The JSON object in `text`, None if it is none."""
    import json

    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _error(problem: Mapping[str, Any]) -> Exception:
    from keyfob.core import errors

    kinds = {
        kind.exit_code: kind
        for kind in (
            errors.Fault,
            errors.Usage,
            errors.SignInNeeded,
            errors.KeychainError,
            errors.Transient,
            errors.SignInEnded,
            errors.NotFound,
            errors.SettingWrong,
            errors.PeerFault,
        )
    }
    code = str(problem.get("code", "internal"))
    kind = kinds.get(int(problem.get("exit", 1)), errors.Fault)
    message = str(problem.get("message") or problem.get("title") or "Keyfob failed")
    known = code if code in errors.CODES else kind.default_code
    detail = str(problem.get("reason") or "")
    return kind(message, code=known, remedy=problem.get("remedy"), detail=detail)


def signed(
    account: str, method: str, url: str, nonce: str | None = None, rejected: str | None = None
) -> dict[str, Any]:
    """The credentials for one request of this account: `headers`, `url` (where a token goes into the query), `token`.
    For tokens bound to a key the agent signs, and the key stays there; without an agent, `keyfob sign` does.
    Refused for an address that is not the provider's.
    """
    import json

    try:
        return sign_by_agent(account, method, url, nonce, rejected)
    except AgentGoneError:
        return _command(["sign", account], json.dumps(_wanted(method, url, nonce, rejected)))


def sign_by_agent(
    account: str, method: str, url: str, nonce: str | None = None, rejected: str | None = None
) -> dict[str, Any]:
    """The same from a running agent alone. Raises AgentGoneError if there is none, and `keyfob.KeyfobError`."""
    import json

    body = json.dumps(_wanted(method, url, nonce, rejected)).encode()
    return _document("POST", _target("sign", account), body)


def renewed_by_agent(account: str) -> dict[str, Any]:
    """Has the agent renew the account now; the account, as `keyfob status --json` shows it. Raises AgentGoneError if there
    is none, and `keyfob.KeyfobError`.
    """
    return _document("POST", _target("renew", account))


def _wanted(method: str, url: str, nonce: str | None, rejected: str | None) -> dict[str, str | None]:
    return {"method": method, "url": url, "nonce": nonce, "rejected": rejected}


# --- requests of httpx --------------------------------------------------------------------------------------------

_CALLERS_OWN = frozenset(
    {"accept", "content-type", "user-agent"}
)  # the API's defaults give way to the caller's
_signed_memory: dict[tuple[str, str], tuple[dict[str, Any], float]] = {}
_asking: dict[str, threading.Lock] = {}
_bound: set[str] = set()  # accounts whose tokens are bound to a key: each request has its own signature


def credentials(
    account: str, method: str, url: str, nonce: str | None = None, rejected: str | None = None
) -> dict[str, Any]:
    """As `signed`, from this process's memory if the same headers are valid again. Of many threads with one refused
    token one asks, and the others take what it got. Thread-safe; blocks.
    """
    if account in _bound:
        return signed(account, method, url, nonce, rejected)
    key = (account, "/".join(url.split("/", 3)[:3]))
    held = _signed_memory.get(key)
    if held is not None and time.time() < held[1] and held[0]["token"] != rejected:
        return {**held[0], "url": url}
    import threading

    with _asking.setdefault(account, threading.Lock()):
        held = _signed_memory.get(key)
        if held is not None and time.time() < held[1] and held[0]["token"] != rejected:
            return {**held[0], "url": url}
        told = signed(account, method, url, nonce, rejected)
    if any(name.lower() == "dpop" for name in told["headers"]):
        _bound.add(account)
    elif told["url"] == url:
        _signed_memory[key] = (told, _keep_until(told, None))
    return told


def _put(request: httpx.Request, told: Mapping[str, Any], url: str) -> str:
    """Set the headers, or the address if the token goes into its query; return the token."""
    import httpx

    for name, value in told["headers"].items():
        if name.lower() not in _CALLERS_OWN or name not in request.headers:
            request.headers[name] = value
    if told["url"] != url:
        request.url = httpx.URL(told["url"])
    return str(told["token"])


def _again(request: httpx.Request, response: httpx.Response, used: str, repeats: Repeats) -> _Again | None:
    """The nonce and the refused token to try again with, None if the answer stands."""
    import httpx

    if not isinstance(request.stream, httpx.ByteStream):
        return None
    reason = repeats.reason(response.status_code, response.headers)
    if reason is None:
        return None
    return response.headers.get("dpop-nonce"), used if reason == "token" else None


def make_auth() -> type:
    """The class `keyfob.Auth`, made when it is first asked for: it is httpx's, and httpx costs 60 ms to import."""
    import httpx

    from keyfob.core.repeats import Repeats

    class Auth(httpx.Auth):
        """Puts the account's credentials on each request; on a 401 asks once for a replacement and repeats.

            httpx.Client(auth=keyfob.Auth("github"))

        For requests to the provider's own API: any other address is refused (`host_not_allowed`). Under asyncio nothing
        blocks the loop: the asking happens on a thread. A body that is read as it is sent cannot be sent twice: its
        401 stands. With `follow_redirects`, httpx removes `Authorization` if a redirect leaves the host, but not
        a key in another header: leave it off for such APIs.
        """

        def __init__(self, account: str) -> None:
            self.account = account

        def sync_auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
            url = str(request.url)
            again: _Again | None = (None, None)
            repeats = Repeats()
            while again is not None:
                used = _put(request, credentials(self.account, request.method, url, *again), url)
                response = yield request
                again = _again(request, response, used, repeats)

        async def async_auth_flow(
            self, request: httpx.Request
        ) -> AsyncGenerator[httpx.Request, httpx.Response]:
            import asyncio

            url = str(request.url)
            again: _Again | None = (None, None)
            repeats = Repeats()
            while again is not None:
                told = await asyncio.to_thread(credentials, self.account, request.method, url, *again)
                used = _put(request, told, url)
                response = yield request
                again = _again(request, response, used, repeats)

    return Auth
