"""keyfob.token, keyfob.accounts and keyfob.Auth, and the fast path, over
a real socket; what they do without an agent.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import jwt
import pytest

import keyfob
from keyfob.adapters.system.keys import new_key
from keyfob.agent.endpoints import TcpEndpoint
from keyfob.client import connection, running_agent, tokens
from keyfob.client.fast_token import fast_token
from keyfob.core.errors import NotFound, SettingWrong, SignInNeeded
from keyfob.core.secret import Secret
from support.agent_rig import AgentRig, short_folder, unix
from support.rig import ISSUER


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    with short_folder() as made:
        monkeypatch.setenv("KEYFOB_SOCK", str(made / "agent.sock"))
        tokens.forget()
        yield made
        tokens.forget()


@pytest.fixture
def rig(tmp_path: Path) -> AgentRig:
    made = AgentRig(tmp_path)
    made.connect()
    # Memory is judged by this process's clock: let the token live by it.
    grant = replace(made.held(), expires_at=None, generation=2)
    made.grants.save("key-1", grant)
    return made


@pytest.fixture
def agent(rig: AgentRig, folder: Path) -> Iterator[AgentRig]:
    with rig.serving(unix(folder)):
        yield rig


@pytest.fixture
def commands(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], str | None]]:
    """What is run in place of an agent."""
    run: list[tuple[list[str], str | None]] = []

    def command(arguments: list[str], stdin: str | None = None) -> dict[str, Any]:
        run.append((arguments, stdin))
        if arguments[0] == "accounts":
            return {"accounts": [{"id": "example/alice"}]}
        if arguments[0] == "sign":
            told = json.loads(stdin or "")
            headers = {"Authorization": "Bearer from-command"}
            return {
                "account": "a",
                "url": told["url"],
                "headers": headers,
                "token": "from-command",
                "expires_at": None,
            }
        return {"token": "from-command", "expires_at": None}

    monkeypatch.setattr(tokens, "run_command", command)
    return run


# --- token and accounts -------------------------------------------------------------------------------------


def test_a_token_and_the_accounts(agent: AgentRig) -> None:
    assert keyfob.token("example") == keyfob.token("example/alice") == "access-1"
    assert [account["id"] for account in keyfob.accounts()] == ["example/alice"]
    assert tokens.lease("example")["token_type"] == "Bearer"


def test_a_refused_token_is_replaced(agent: AgentRig) -> None:
    assert keyfob.token("example", rejected="access-1") == "access-2"
    assert keyfob.token("example") == "access-2"
    assert agent.server.log == ["refresh"]


def test_errors_are_those_of_the_engine(agent: AgentRig) -> None:
    with pytest.raises(NotFound) as caught:
        keyfob.token("nobody")
    assert (caught.value.code, caught.value.exit_code) == ("account_not_found", 7)
    assert isinstance(caught.value, keyfob.KeyfobError)
    agent.accounts.disconnect("example", local=True)
    with pytest.raises(SignInNeeded) as ended:
        keyfob.token("example")
    assert ended.value.code == "disconnected"


def test_memory_answers_without_asking_again(agent: AgentRig) -> None:
    first = keyfob.token("example")
    asked = len(agent.server.log)
    assert {keyfob.token("example") for _ in range(100)} == {first}
    assert len(agent.server.log) == asked


@pytest.mark.parametrize(
    ("left", "min_life", "kept"),
    [(3600, None, 30), (100, None, 30), (25, None, 20), (3600, 3590, 10), (60, 90, 0), (-5, None, 0)],
)
def test_memory_is_kept_while_it_may_be(
    monkeypatch: pytest.MonkeyPatch, left: float, min_life: float | None, kept: float
) -> None:
    monkeypatch.setattr(time, "time", lambda: 1_000_000.0)
    from datetime import UTC, datetime

    expires = datetime.fromtimestamp(1_000_000 + left, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert tokens.keep_until({"expires_at": expires}, min_life) == pytest.approx(1_000_000 + kept, abs=1)


def test_without_an_agent_the_command_does_the_work(
    folder: Path, commands: list[tuple[list[str], str | None]]
) -> None:
    assert keyfob.token("example") == "from-command"
    assert keyfob.token("example", min_life=90) == "from-command"
    assert keyfob.token("example", rejected="old") == "from-command"
    assert keyfob.accounts() == [{"id": "example/alice"}]
    assert commands == [
        (["token", "example"], None),
        (["token", "example", "--min-life", "90"], None),
        (["token", "example", "--rejected-stdin"], "old"),
        (["accounts"], None),
    ]


def test_the_commands_failure_is_the_callers(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told = {"code": "sharing_not_allowed", "message": "Its terms say so", "remedy": "Use another."}

    def run(*_: object, **__: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess([], 8, "", "progress\n" + json.dumps(told) + "\n")

    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(SettingWrong) as caught:
        keyfob.token("example")
    assert (caught.value.code, caught.value.sentence()) == (
        "sharing_not_allowed",
        "Its terms say so. Use another.",
    )


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("print('Hello!')", "The keyfob command printed nothing"),
        ("print('[1]')", "The keyfob command printed nothing"),
        ("import sys; sys.exit('{no json')", "The keyfob command failed"),
        ("import os; os.abort()", "The keyfob command failed"),
        (None, "Keyfob could not start the keyfob command: No such file or directory"),
    ],
)
def test_a_command_that_prints_no_answer_is_an_error_of_ours(
    folder: Path, monkeypatch: pytest.MonkeyPatch, program: str | None, message: str
) -> None:
    command = (sys.executable, "-c", program) if program is not None else ("/nonexistent/keyfob",)
    monkeypatch.setattr("keyfob.process.own_process.own_command", lambda: command)
    with pytest.raises(keyfob.KeyfobError) as caught:
        keyfob.accounts()
    assert (caught.value.code, caught.value.message) == ("internal", message)


def test_an_agent_that_goes_away_midway_is_no_answer(folder: Path) -> None:
    for raw in (
        b"",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhalf",
        b"odd\r\n\r\n",
    ):
        with pytest.raises(connection.AgentGoneError):
            connection.parse_response(raw)


@pytest.mark.network
def test_where_there_are_no_unix_sockets_the_port_is_used(
    rig: AgentRig, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import _socket

    monkeypatch.delattr(_socket, "AF_UNIX")
    with rig.serving(TcpEndpoint(folder / "agent.json")):
        assert keyfob.token("example") == "access-1"
        assert tokens.signed("example", "GET", f"{ISSUER}/me")["token"] == "access-1"
    with pytest.raises(connection.AgentGoneError):
        running_agent.lease("example")


@pytest.mark.network
@pytest.mark.parametrize("answer", ["silent", "closes", "lies", "echoes", "promises"])
def test_who_holds_a_dead_agents_port_gets_neither_key_nor_secret(
    folder: Path, monkeypatch: pytest.MonkeyPatch, answer: str, commands: list[tuple[list[str], str | None]]
) -> None:
    """S-62: the file of an agent that was killed stays, and names a port that anybody may take."""
    monkeypatch.setattr("keyfob.process.agent_hello._WITHIN", 0.5)
    monkeypatch.setenv("KEYFOB_SOCK", str(folder / "agent.json"))
    heard: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            client, _ = listener.accept()
            with client:
                client.settimeout(2)
                heard.append(client.recv(65536))
                challenge = heard[0].partition(b"challenge=")[2][:32].decode()
                proof = {"lies": "0" * 64, "echoes": challenge}.get(answer)
                body = json.dumps({"agent": "keyfob", "proof": proof}).encode()
                if answer == "promises":
                    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n" + body)
                elif answer != "closes" and answer != "silent":
                    client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
                if answer != "closes":
                    with contextlib.suppress(OSError):
                        while more := client.recv(65536):
                            heard.append(more)

        thread = threading.Thread(target=serve)
        thread.start()
        port = listener.getsockname()[1]
        (folder / "agent.json").write_text(json.dumps({"port": port, "key": "key-of-the-dead-agent"}))
        assert keyfob.token("example", rejected="old-token") == "from-command"
        thread.join(10)
    said = b"".join(heard)
    assert said.startswith(b"GET /v1/hello?challenge=")
    assert b"key-of-the-dead-agent" not in said
    assert b"old-token" not in said
    assert b"token" not in said


# --- an agent that takes its time ---------------------------------------------------------------------------


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Waits are short, and what is said of them is kept."""
    said: list[str] = []
    monkeypatch.setattr(connection, "SILENCE", 0.2)
    monkeypatch.setattr(connection, "SIGN_OF_LIFE", 0.5)
    monkeypatch.setattr(connection, "silent_until", 0.0)
    monkeypatch.setattr(connection, "on_wait", lambda: said.append("waiting"))
    return said


def test_an_agent_that_works_is_waited_for(agent: AgentRig, impatient: list[str]) -> None:
    agent.server.before = lambda: time.sleep(1.5)
    assert keyfob.token("example", rejected="access-1") == "access-2"
    assert impatient == ["waiting"]  # once, however long it takes


def test_an_agent_without_a_sign_of_life_is_left_alone(
    folder: Path, impatient: list[str], commands: list[tuple[list[str], str | None]]
) -> None:
    """A socket that takes connections and never answers: what a stopped agent is."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "agent.sock"))
        listener.listen()
        started = time.monotonic()
        assert keyfob.token("example") == "from-command"
        assert 0.6 < time.monotonic() - started < 3
        again = time.monotonic()
        assert keyfob.accounts() == [{"id": "example/alice"}]
        assert time.monotonic() - again < 0.1
    assert impatient == ["waiting"]


# --- the fast path ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "out"),
    [
        (["example"], "access-1\n"),
        (["--min-life", "60", "example/alice"], "access-1\n"),
        (["example", "--min-life=60", "--header"], "Authorization: Bearer access-1\n"),
    ],
)
def test_the_fast_path_prints_what_the_command_prints(
    agent: AgentRig, capfd: pytest.CaptureFixture[str], arguments: list[str], out: str
) -> None:
    assert fast_token(arguments) == 0
    assert capfd.readouterr() == (out, "")


def test_the_fast_path_fails_as_the_command_does(agent: AgentRig, capfd: pytest.CaptureFixture[str]) -> None:
    assert fast_token(["nobody"]) == 7
    out, err = capfd.readouterr()
    assert (out, err) == (
        "",
        "keyfob: There is no account nobody. To list your accounts, run `keyfob accounts`.\n",
    )
    assert fast_token(["nobody", "--json"]) == 7
    out, err = capfd.readouterr()
    assert (out, json.loads(err)["code"]) == ("", "account_not_found")


def test_a_key_that_no_header_carries_is_refused_by_the_agent(
    agent: AgentRig, capfd: pytest.CaptureFixture[str]
) -> None:
    pair = Secret("AKIAEXAMPLEEXAMPLE00:abcd/efgh+ijklmnopqrst")
    agent.grants.save("key-1", replace(agent.held(), access=pair, generation=3))
    assert fast_token(["example", "--header"]) == 2
    out, err = capfd.readouterr()
    with pytest.raises(keyfob.Usage) as refused:
        running_agent.header("example")
    assert refused.value.code == "key_signs_requests"
    assert (out, err) == ("", f"keyfob: {refused.value}\n")
    assert fast_token(["example"]) == 0


@pytest.mark.parametrize(
    "arguments",
    [[], ["--help"], ["a", "b"], ["example", "--rejected-stdin"], ["example", "--min-life", "1.5"],
     ["example", "--min-life"], ["a b"], ["../x"], ["é"], ["a\r\nHost: x"]],
)  # fmt: skip
def test_what_the_fast_path_does_not_know_is_the_commands(agent: AgentRig, arguments: list[str]) -> None:
    assert fast_token(arguments) is None


def test_the_fast_path_without_an_agent_is_the_commands(folder: Path) -> None:
    assert fast_token(["example"]) is None


@pytest.mark.parametrize(("code", "exit_code"), [("agent_locked", 4), ("keychain_locked", None)])
def test_a_locked_agent_is_not_passed_by_at_a_desktop_that_could_unlock_a_keychain(
    code: str, exit_code: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = {"keyfob-exit": "4", "keyfob-code": code}
    monkeypatch.setattr("keyfob.client.fast_token.exchange", lambda *_: (503, headers, b"It is locked."))
    monkeypatch.setattr("keyfob.process.terminal.can_ask", lambda: True)
    assert fast_token(["example"]) == exit_code


def test_importing_keyfob_costs_nothing() -> None:
    """The import costs no Qt, no httpx and no keyring until they are needed."""
    script = (
        "import sys, keyfob; keyfob.token; print([m for m in ('httpx', 'keyring', 'PySide6', 'json', "
        "'asyncio', 'click') if m in sys.modules])"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-S", "-c", script], capture_output=True, text=True, env=env, check=True
    )
    assert done.stdout.strip() == "[]"


# --- Auth ---------------------------------------------------------------------------------------------------


class Api:
    """The provider's API: takes the newest token alone, at most `refusals` times says otherwise."""

    def __init__(self, rig: AgentRig) -> None:
        self.rig = rig
        self.seen: list[httpx.Request] = []
        self.hold: Callable[[], object] = lambda: None

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.seen.append(request)
        good = request.headers.get("authorization") == f"Bearer access-{self.rig.server.serial}"
        self.hold()
        return httpx.Response(200 if good else 401, json={})


def test_auth_puts_the_token_on_each_request(agent: AgentRig) -> None:
    api = Api(agent)
    with httpx.Client(auth=keyfob.Auth("example"), transport=httpx.MockTransport(api)) as http:
        assert http.get(f"{ISSUER}/me", headers={"X-Mine": "1"}).status_code == 200
    assert api.seen[0].headers["x-mine"] == "1"


def test_auth_asks_once_for_a_replacement_and_repeats(agent: AgentRig) -> None:
    api = Api(agent)
    with httpx.Client(auth=keyfob.Auth("example"), transport=httpx.MockTransport(api)) as http:
        http.get(f"{ISSUER}/me")
        agent.server.serial += 1
        agent.server.current = "refresh-1"
        assert http.post(f"{ISSUER}/me", content=b"body").status_code == 200
        assert [r.read() for r in api.seen[1:]] == [b"body", b"body"]
        assert agent.server.log == ["refresh"]


def test_a_401_that_stays_is_the_callers(agent: AgentRig) -> None:
    seen: list[str] = []

    def never(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["authorization"])
        return httpx.Response(401)

    with httpx.Client(auth=keyfob.Auth("example"), transport=httpx.MockTransport(never)) as http:
        assert http.get(f"{ISSUER}/me").status_code == 401
    assert seen == ["Bearer access-1", "Bearer access-2"]


class Refusing(httpx.BaseTransport):
    """Reads the body as it comes, as a real transport does."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        assert isinstance(request.stream, httpx.SyncByteStream)
        self.sent.append(b"".join(request.stream))
        return httpx.Response(401)


def test_a_body_that_cannot_be_sent_again_is_not(agent: AgentRig) -> None:
    transport = Refusing()
    with httpx.Client(auth=keyfob.Auth("example"), transport=transport) as http:
        assert http.post(f"{ISSUER}/me", content=iter([b"once"])).status_code == 401
    assert transport.sent == [b"once"]


def test_thirty_requests_in_flight_with_a_401_cost_one_renewal(agent: AgentRig) -> None:
    api = Api(agent)
    everyone = threading.Barrier(30)
    first = threading.local()

    def hold() -> None:
        if not getattr(first, "done", False):
            first.done = True
            everyone.wait(20)

    statuses: list[int] = []
    with httpx.Client(auth=keyfob.Auth("example"), transport=httpx.MockTransport(api)) as http:
        http.get(f"{ISSUER}/me")
        api.hold = hold
        agent.server.serial += 1
        agent.server.current = "refresh-1"
        threads = [
            threading.Thread(target=lambda: statuses.append(http.get(f"{ISSUER}/me").status_code))
            for _ in range(30)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
    assert statuses == [200] * 30
    assert agent.server.log == ["refresh"]


def test_under_asyncio_thirty_401s_cost_one_renewal_and_the_loop_goes_on(agent: AgentRig) -> None:
    """Under asyncio it never blocks the loop."""
    agent.server.before = lambda: time.sleep(0.5)
    api = Api(agent)

    async def handler(request: httpx.Request) -> httpx.Response:
        await asyncio.sleep(0.01)
        return api(request)

    async def main() -> tuple[list[int], float]:
        gaps: list[float] = []

        async def beat() -> None:
            while True:
                before = time.monotonic()
                await asyncio.sleep(0.005)
                gaps.append(time.monotonic() - before)

        async with httpx.AsyncClient(
            auth=keyfob.Auth("example"), transport=httpx.MockTransport(handler)
        ) as http:
            await http.get(f"{ISSUER}/me")
            agent.server.serial += 1
            agent.server.current = "refresh-1"
            beating = asyncio.create_task(beat())
            answers = await asyncio.gather(*(http.get(f"{ISSUER}/me") for _ in range(30)))
            beating.cancel()
        return [answer.status_code for answer in answers], max(gaps)

    statuses, longest = asyncio.run(main())
    assert statuses == [200] * 30
    assert agent.server.log == ["refresh"]
    assert longest < 0.4


def test_auth_for_another_host_is_refused(agent: AgentRig) -> None:
    """S-64: nothing of ours goes to a host that is not the provider's."""
    api = Api(agent)
    with (
        httpx.Client(auth=keyfob.Auth("example"), transport=httpx.MockTransport(api)) as http,
        pytest.raises(SettingWrong) as caught,
    ):
        http.get("https://evil.example/")
    assert caught.value.code == "host_not_allowed"
    assert api.seen == []


def test_a_bound_token_is_signed_for_each_request_and_each_nonce(agent: AgentRig) -> None:
    agent.grants.save("key-1", replace(agent.held(), key=new_key(), token_type="DPoP", generation=3))
    proofs: list[dict[str, Any]] = []

    def handler(request: httpx.Request) -> httpx.Response:
        assert request.headers["authorization"] == "DPoP access-1"
        claims = jwt.decode(request.headers["dpop"], options={"verify_signature": False})
        proofs.append(claims)
        if claims.get("nonce") != "n-1":
            challenge = 'DPoP error="use_dpop_nonce"'
            return httpx.Response(401, headers={"WWW-Authenticate": challenge, "DPoP-Nonce": "n-1"})
        return httpx.Response(200)

    with httpx.Client(auth=keyfob.Auth("example"), transport=httpx.MockTransport(handler)) as http:
        assert http.get(f"{ISSUER}/a").status_code == 200
        assert http.post(f"{ISSUER}/b").status_code == 200
    assert [(proof["htm"], proof["htu"]) for proof in proofs] == [
        ("GET", f"{ISSUER}/a"), ("GET", f"{ISSUER}/a"), ("POST", f"{ISSUER}/b"),  # its nonce is known by then
    ]  # fmt: skip
    assert len({proof["jti"] for proof in proofs}) == 3
    assert agent.server.log == []


def test_a_nonce_and_a_refused_token_are_one_repeat_each(agent: AgentRig) -> None:
    agent.grants.save("key-1", replace(agent.held(), key=new_key(), token_type="DPoP", generation=3))
    agent.server.extra["token_type"] = "DPoP"
    seen: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["authorization"])
        claims = jwt.decode(request.headers["dpop"], options={"verify_signature": False})
        if claims.get("nonce") != "n-1":
            challenge = 'DPoP error="use_dpop_nonce"'
            return httpx.Response(401, headers={"WWW-Authenticate": challenge, "DPoP-Nonce": "n-1"})
        return httpx.Response(401, headers={"WWW-Authenticate": 'DPoP error="invalid_token"'})

    with httpx.Client(auth=keyfob.Auth("example"), transport=httpx.MockTransport(handler)) as http:
        assert http.get(f"{ISSUER}/a").status_code == 401
    assert seen == ["DPoP access-1", "DPoP access-1", "DPoP access-2"]
    assert agent.server.log == ["refresh"]


def test_auth_without_an_agent_runs_one_command_for_many_requests(
    folder: Path, commands: list[tuple[list[str], str | None]]
) -> None:
    answer = httpx.MockTransport(lambda request: httpx.Response(200))
    with httpx.Client(auth=keyfob.Auth("example"), transport=answer) as http:
        for number in range(5):
            http.get(f"{ISSUER}/{number}")
    assert [arguments for arguments, _ in commands] == [["sign", "example"]]
