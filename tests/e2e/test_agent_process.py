"""`keyfob agent` as a process: commands find it, a second one yields,
killing it loses nothing, other users get nothing.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from keyfob.demo.scripted_browser import ScriptedBrowser
from support.agent_process import Machine, machine, said_by
from support.agent_rig import Client, get, post
from support.running import until

pytestmark = pytest.mark.network


@pytest.fixture(scope="module")
def one_home() -> Iterator[Machine]:
    with machine() as made:
        made.connect()
        yield made


@pytest.fixture
def home(one_home: Machine) -> Iterator[Machine]:
    """One home with one account; what a test leaves running is ended."""
    yield one_home
    one_home.end()


def test_commands_find_the_agent_and_ask_it(home: Machine) -> None:
    """Without the passphrase a command can do nothing by itself: what works came from the agent."""
    assert home.run("token", "here", unlocked=False).code == 4
    agent = home.agent()
    token = home.run("token", "here", unlocked=False)
    assert (token.code, token.err) == (0, "")
    assert home.run("token", "here", "--json", unlocked=False).json["token"] == token.out.strip()
    assert home.run("token", "here", "--header", unlocked=False).out == f"Authorization: Bearer {token.out}"
    replaced = home.run("token", "here", "--rejected-stdin", stdin=token.out, unlocked=False)
    assert replaced.code == 0, replaced.err
    assert replaced.out not in ("", token.out)
    renewed = home.run("renew", "here", "--json", unlocked=False)
    assert renewed.json["status"] == "connected"
    assert [a["id"] for a in home.run("accounts", "--json", unlocked=False).json["accounts"]] == [
        "here/alice"
    ]
    assert home.run("status", "here", "--json", unlocked=False).json["id"] == "here/alice"
    answer = home.run("request", "here", "GET", "/userinfo", unlocked=False)
    assert (answer.code, json.loads(answer.out)["name"]) == (0, "Alice")
    agent.terminate()
    assert agent.wait(20) == 0
    assert not home.socket.exists()


def test_a_second_agent_says_so_and_yields(home: Machine) -> None:
    first = home.agent()
    second = home.run("agent", unlocked=False)
    assert (second.code, second.out) == (0, "")
    assert "already running" in second.err
    assert home.run("token", "here", unlocked=False).code == 0
    first.terminate()
    assert first.wait(20) == 0


def test_print_socket_tells_where(home: Machine) -> None:
    assert home.run("agent", "--print-socket").out == f"{home.socket}\n"
    other = home.root / "other.sock"
    assert home.run("agent", "--print-socket", KEYFOB_SOCK=str(other)).out == f"{other}\n"


def test_the_socket_and_its_folder_are_the_owners(home: Machine) -> None:
    agent = home.agent()
    assert stat.S_IMODE(home.socket.stat().st_mode) == 0o600
    assert stat.S_IMODE(home.socket.parent.stat().st_mode) == 0o700
    home.kill(agent)


def test_a_killed_agent_is_replaced_and_until_then_commands_work_alone(home: Machine) -> None:
    agent = home.agent()
    home.kill(agent)
    assert home.socket.exists()
    assert home.run("token", "here").code == 0
    again = home.agent()
    assert get(home.socket, "/v1/token/here").status == 200
    again.send_signal(signal.SIGHUP)
    assert again.wait(20) == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="takes another user's id")
def test_s_62_another_users_process_is_refused(home: Machine) -> None:
    """S-62: on the Unix socket another user's process is refused, even where file modes would let it in."""
    agent = home.agent()
    for folder in (home.root, home.home, home.socket.parent):
        folder.chmod(0o755)
    home.socket.chmod(0o666)
    try:
        ask = (
            "import os, socket, sys; os.setgid(65534); os.setuid(65534)\ns = "
            "socket.socket(socket.AF_UNIX); s.settimeout(5)\ntry:\n    s.connect(sys.argv[1]); "
            "s.sendall(b'GET /v1/token/here HTTP/1.1\\r\\n\\r\\n'); print(len(s.recv(9999)))\nexcept "
            "OSError: print(0)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", ask, str(home.socket)], capture_output=True, text=True, timeout=20
        )
        assert (done.stdout, done.stderr) == ("0\n", "")
        assert get(home.socket, "/v1/token/here").status == 200
    finally:
        for folder in (home.root, home.home, home.socket.parent):
            folder.chmod(0o700)
        home.kill(agent)


@pytest.mark.skipif(os.geteuid() != 0, reason="takes another user's id")
def test_another_user_does_not_reach_the_socket_at_all(home: Machine) -> None:
    agent = home.agent()
    home.root.chmod(0o755)
    script = (
        f"import os, socket; os.setuid(65534); socket.socket(socket.AF_UNIX).connect({str(home.socket)!r})"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=20)
    assert "PermissionError" in done.stderr
    home.root.chmod(0o700)
    home.kill(agent)


def test_events_of_other_processes_are_told(home: Machine) -> None:
    agent = home.agent()
    with Client(home.socket, timeout=20) as client:
        client.send("GET", "/v1/events")
        client.until(b": keyfob\n\n")
        assert home.run("rename", "here/alice", "other").code == 0
        event = client.event()
        assert event["event"] == "renamed"
        assert json.loads(event["data"])["account"] == "here/other"
        assert home.run("rename", "here/other", "alice").code == 0
        assert client.event()["event"] == "renamed"
    home.kill(agent)


def test_ten_thousand_requests_on_kept_connections(home: Machine) -> None:
    agent = home.agent()
    faults: list[object] = []

    def work() -> None:
        try:
            with Client(home.socket, timeout=30) as client:
                for _ in range(313):
                    if client.ask("GET", "/v1/token/here").status != 200:
                        faults.append("refused")
        except (OSError, EOFError, ValueError) as error:
            faults.append(error)

    threads = [threading.Thread(target=work) for _ in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    home.kill(agent)
    assert faults == []


# --- signing in through the socket --------------------------------------------------------------------------


def ended(home: Machine, one: str) -> Any:
    until(lambda: get(home.socket, f"/v1/sign-ins/{one}").json["ended"])
    return get(home.socket, f"/v1/sign-ins/{one}").json


def test_a_sign_in_through_the_socket() -> None:
    with machine() as home:
        agent = home.agent(BROWSER="/bin/false")
        begun = post(
            home.socket, "/v1/sign-ins", {"provider": "here", "method": "oauth", "open_browser": False}
        )
        assert begun.status == 201
        one = begun.json
        assert one["url"].startswith(home.server.issuer)
        ScriptedBrowser().sign_in(one["url"], "alice")
        done = ended(home, one["id"])
        assert (done["stage"], done["account"]["id"], done["error"]) == ("done", "here/alice", None)
        assert get(home.socket, "/v1/token/here").status == 200

        # Bound to the account: the same person signs in again.
        again = post(
            home.socket, "/v1/sign-ins", {"provider": "here", "account": "here/alice", "open_browser": False}
        )
        ScriptedBrowser().sign_in(again.json["url"], "alice")
        assert ended(home, again.json["id"])["account"]["id"] == "here/alice"

        # Somebody else does not get into it.
        other = post(
            home.socket, "/v1/sign-ins", {"provider": "here", "account": "here/alice", "open_browser": False}
        )
        ScriptedBrowser().sign_in(other.json["url"], "bob")
        assert ended(home, other.json["id"])["error"]["code"] == "subject_mismatch"
        assert len(get(home.socket, "/v1/accounts").json["accounts"]) == 1

        # Completed by hand, with the address that a browser elsewhere ended at.
        pasted = post(home.socket, "/v1/sign-ins", {"provider": "here", "open_browser": False}).json
        address = back_from(pasted["url"], "bob")
        wrong = post(
            home.socket,
            f"/v1/sign-ins/{pasted['id']}/callback",
            {"url": address.replace("state=", "state=x")},
        )
        assert wrong.status in (400, 502)
        assert post(home.socket, f"/v1/sign-ins/{pasted['id']}/callback", {"url": address}).status == 200
        assert ended(home, pasted["id"])["account"]["id"] == "here/bob"

        # Cancelled: its port is free at once.
        last = post(home.socket, "/v1/sign-ins", {"provider": "here", "open_browser": False}).json
        with Client(home.socket) as client:
            assert client.ask("DELETE", f"/v1/sign-ins/{last['id']}").json["stage"] == "cancelled"
        assert get(home.socket, f"/v1/sign-ins/{last['id']}").json["url"] is None
        agent.terminate()
        assert agent.wait(20) == 0


def back_from(url: str, person: str) -> str:
    """The callback's address that the provider would send the browser to, unvisited."""

    class Elsewhere(ScriptedBrowser):
        def _fetch(self, method: str, url: str, body: str | None, more: dict[str, str]) -> Any:
            if "/callback" in url:
                raise Arrived(url)
            return super()._fetch(method, url, body, more)

    try:
        Elsewhere().sign_in(url, person)
    except Arrived as arrived:
        return str(arrived)
    raise AssertionError("the provider did not send the browser back")


class Arrived(Exception):
    pass


# --- killed -------------------------------------------------------------------------------------------------


def test_killed_at_any_point_nothing_is_lost() -> None:
    """The agent is killed again and again while tools have it renew; the
    session goes on, and the next command answers.

    The demo provider rotates: a refresh token that was spent and whose answer was lost would end the session,
    so each kill comes at another moment of a renewal.
    """
    with machine() as home:
        home.connect()
        for step in range(14):
            agent = home.agent()
            refused = get(home.socket, "/v1/token/here").json["token"]
            asking = threading.Thread(target=_ask_until_killed, args=(home.socket, refused))
            asking.start()
            time.sleep(0.004 * step)
            home.kill(agent)
            asking.join(20)
            answer = home.run("token", "here")
            assert answer.code == 0, f"killed {4 * step} ms into a renewal: {answer.err}"
        assert home.run("renew", "here").code == 0
        assert home.run("status", "here", "--json").json["status"] == "connected"


def _ask_until_killed(socket: Path, refused: str) -> None:
    with contextlib.suppress(OSError, EOFError):
        post(socket, "/v1/token/here/alice", {"rejected": refused})


def test_the_renewer_of_the_agent_renews_by_itself() -> None:
    with machine(access_lifetime=12) as home:
        home.connect()
        agent = home.agent()
        first = get(home.socket, "/v1/token/here").json["token"]
        until(lambda: get(home.socket, "/v1/token/here").json["token"] != first, 30)
        agent.terminate()
        assert agent.wait(20) == 0
        assert agent.stderr is not None
        assert "Traceback" not in agent.stderr.read()


def test_no_token_is_in_the_folders_or_the_log(home: Machine) -> None:
    """S-25: what passed through the agent is in no file but the sealed vault."""
    agent = home.agent()
    token = get(home.socket, "/v1/token/here").json["token"]
    home.kill(agent)
    for file in home.home.rglob("*"):
        if file.is_file():
            assert token.encode() not in file.read_bytes(), file


def test_with_consent_on_and_no_window_the_answer_is_no(home: Machine) -> None:
    settings = home.home / "config" / "settings.json"
    agent = home.agent()
    assert home.run("token", "here", unlocked=False).code == 0
    settings.write_text('{"vault": "sealed", "named_app_consent": true}')
    try:
        refused = home.run("token", "here")
        assert (refused.code, refused.out) == (8, "")
        assert "no window" in refused.err
        assert get(home.socket, "/v1/token/here").json["code"] == "consent_refused"
        signed = post(
            home.socket, "/v1/sign/here", {"method": "GET", "url": f"{home.server.issuer}/userinfo"}
        )
        assert signed.json["code"] == "consent_refused"
        assert get(home.socket, "/v1/accounts").status == 200
    finally:
        settings.write_text('{"vault": "sealed"}')
    assert home.run("token", "here", unlocked=False).code == 0
    home.kill(agent)


def test_a_running_agent_follows_the_settings_command(home: Machine) -> None:
    agent = home.agent()
    assert home.run("token", "here", unlocked=False).code == 0
    assert home.run("settings", "set", "named_app_consent", "on", "--json", unlocked=False).json == {
        "key": "named_app_consent",
        "value": True,
    }
    try:
        refused = home.run("token", "here", unlocked=False)
        assert (refused.code, refused.out) == (8, "")
        assert "may not use the token" in refused.err
        assert "`keyfob settings set named_app_consent off`" in refused.err
    finally:
        assert home.run("settings", "set", "named_app_consent", "off", unlocked=False).code == 0
    assert home.run("token", "here", unlocked=False).code == 0
    assert home.run("settings", "get", "vault", unlocked=False).out == "sealed\n"
    home.kill(agent)


def test_an_agent_that_cannot_open_its_vault_says_so(home: Machine) -> None:
    refused = home.run("agent", unlocked=False)
    assert refused.code == 4
    assert "passphrase" in refused.err


def test_systemds_socket_is_taken_over(home: Machine) -> None:
    """As systemd does it: a listening socket at descriptor 3, and LISTEN_PID that names the process."""
    activate = (
        "import os, socket, sys\npath = sys.argv[1]\nif os.path.exists(path): os.unlink(path)\ns = "
        "socket.socket(socket.AF_UNIX); s.bind(path); os.chmod(path, 0o600); s.listen()\npassphrase = "
        "int(os.environ['KEYFOB_PASSPHRASE_FD']); kept = os.dup(passphrase); listening = "
        "os.dup(s.fileno())\nos.dup2(listening, 3); os.set_inheritable(kept, True)\nos.environ |= "
        "{'LISTEN_PID': str(os.getpid()), 'LISTEN_FDS': '1', 'KEYFOB_PASSPHRASE_FD': "
        "str(kept)}\nos.execv(sys.executable, [sys.executable, '-m', 'keyfob', 'agent'])\n"
    )
    agent = home.start(str(home.socket), program=[sys.executable, "-c", activate])
    assert "answers your tools" in said_by(agent)
    assert home.run("token", "here", unlocked=False).code == 0
    agent.terminate()
    assert agent.wait(20) == 0
    assert home.socket.exists()
    home.socket.unlink()


@pytest.mark.timeout(120)
def test_an_agent_without_a_window_renews_short_lived_tokens_on_time() -> None:
    """Each is renewed before it ends, and a failure is retried after some
    seconds, not at the next look in 37 s.
    """
    with machine(access_lifetime=10) as made:
        made.connect()
        made.agent()

        def ends() -> float:
            text = made.run("status", "here", "--json", unlocked=False).json["expires_at"]
            return datetime.fromisoformat(text).timestamp()

        seen, until = {ends()}, time.time() + 30
        while time.time() < until:
            asked = time.time()  # the answer is later, and on a busy machine by seconds
            seen.add(ends())
            assert max(seen) > asked - 1, "the token has expired"
            time.sleep(0.3)
        assert 3 <= len(seen) <= 6
