"""The agent's interface over the services in memory: each address, each
refusal, and that no secret but the token is told.
"""

from __future__ import annotations

import json
import threading
from dataclasses import fields
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from keyfob.adapters.vault.lockable import LockableVault
from keyfob.adapters.vault.memory import MemoryVault
from keyfob.agent.api import HEADER, PLAIN, PROBLEM, event_line
from keyfob.agent.control import Control
from keyfob.agent.endpoints import Peer
from keyfob.agent.http import Answer, Incoming
from keyfob.agent.remedies import REMEDIES
from keyfob.agent.sign_ins import ENDED_SIGN_INS_MOST, SIGN_INS_KEPT, SIGN_INS_MOST, request_of
from keyfob.cli.agent_sign_in import document_of
from keyfob.core.account import LoggedEvent
from keyfob.core.errors import (
    Fault,
    KeychainError,
    KeyfobError,
    NotFound,
    PeerFault,
    SettingWrong,
    SignInEnded,
    SignInNeeded,
    Transient,
    Usage,
)
from keyfob.core.facts import filled
from keyfob.core.secret import Secret
from keyfob.service.accounts.views import SignInRequest
from support.agent_rig import AgentRig
from support.rig import START
from support.running import until

HERE = Peer(1, 0)
AFAR = Peer(1, 0, forwarded=True)


@pytest.fixture
def rig(tmp_path: Path) -> AgentRig:
    made = AgentRig(tmp_path)
    made.connect()
    return made


def ask(
    rig: AgentRig, method: str, target: str, body: Any = None, *, peer: Peer = HERE, **headers: str
) -> Answer:
    data = b"" if body is None else json.dumps(body).encode()
    return rig.api.answer(Incoming(method, target, headers, data, True), peer)


def told(answer: Answer) -> Any:
    return json.loads(answer.body)


def test_a_command_passes_all_of_a_sign_in_to_the_agent() -> None:
    """S-86: the host that may do without TLS, too."""
    request = SignInRequest(
        "example",
        "api_key",
        account="example/alice",
        label="bob",
        access=("read",),
        scopes=("a",),
        only_scopes=("b",),
        inputs={"server": "http://nas.local"},
        api_key=Secret("canary-key"),
        password=Secret("canary-password"),
        client_id="robot",
        client_secret=Secret("canary-secret"),
        timeout=30.0,
        open_browser=False,  # the command opens it
        switch_method=True,
        allow_http="nas.local",
    )
    body = document_of(request)
    # Only the window asks when a key ends.
    assert set(body) == {field.name for field in fields(SignInRequest)} - {"key_expires_at"}
    assert request_of(body) == request


def test_s87_a_locked_agent_gives_out_no_token_that_is_in_memory(rig: AgentRig) -> None:
    """While a renewed token is being saved, the one before it is in memory."""
    vault = LockableVault(MemoryVault())
    rig.api.control = Control("home", vault, "keychain", START, lambda _: True)
    assert ask(rig, "GET", "/v1/token/example/alice").status == 200
    assert ask(rig, "POST", "/v1/agent/lock").status == 200
    for method, target in (("GET", "token"), ("POST", "sign")):
        body = {"method": "GET", "url": "https://id.example.org/me"} if method == "POST" else None
        answer = ask(rig, method, f"/v1/{target}/example/alice", body)
        assert (answer.status, told(answer)["code"]) == (503, "agent_locked")
        assert b"access-" not in answer.body
    assert ask(rig, "POST", "/v1/agent/unlock", {}).status == 200
    assert ask(rig, "GET", "/v1/token/example/alice").status == 200


# --- accounts and tokens ------------------------------------------------------------------------------------


def test_accounts_are_listed_and_shown(rig: AgentRig) -> None:
    rig.connect("key-2", "bob")
    listed = told(ask(rig, "GET", "/v1/accounts"))["accounts"]
    assert [account["id"] for account in listed] == ["example/alice", "example/bob"]
    assert told(ask(rig, "GET", "/v1/accounts/example/alice")) == listed[0]
    assert b"refresh-" not in ask(rig, "GET", "/v1/accounts").body


def test_a_token_is_told_with_its_times(rig: AgentRig) -> None:
    expected = {
        "account": "example/alice",
        "token": "access-1",
        "token_type": "Bearer",
        "expires_at": "2026-11-20T13:00:00Z",
        "scopes": ["openid", "profile"],
    }
    assert told(ask(rig, "GET", "/v1/token/example/alice")) == expected
    assert told(ask(rig, "GET", "/v1/token/example?min_life=60")) == expected
    assert rig.server.log == []


def test_a_token_in_the_form_a_lean_client_asks_for(rig: AgentRig) -> None:
    assert ask(rig, "GET", "/v1/token/example", accept=PLAIN).body == b"access-1"
    assert ask(rig, "GET", "/v1/token/example", accept=HEADER).body == b"Authorization: Bearer access-1"


def test_a_token_that_lives_too_short_is_renewed_first(rig: AgentRig) -> None:
    assert told(ask(rig, "GET", "/v1/token/example?min_life=3601"))["token"] == "access-2"
    assert rig.server.log == ["refresh"]


def test_a_refused_token_is_replaced_once(rig: AgentRig) -> None:
    """(2) `rejected=` names the refused token, so thirty callers with one 401 cost one renewal."""
    answers = [ask(rig, "POST", "/v1/token/example/alice", {"rejected": "access-1"}) for _ in range(30)]
    assert {told(answer)["token"] for answer in answers} == {"access-2"}
    assert rig.server.log == ["refresh"]


def test_renew_shows_the_account(rig: AgentRig) -> None:
    rig.clock.forward(minutes=5)
    answer = told(ask(rig, "POST", "/v1/renew/example"))
    assert (answer["id"], answer["expires_at"]) == ("example/alice", "2026-11-20T13:05:00Z")


def test_no_refresh_token_crosses_the_socket(rig: AgentRig) -> None:
    targets = ["/v1/accounts", "/v1/accounts/example/alice", "/v1/token/example"]
    answers = [ask(rig, "GET", target) for target in targets]
    answers.append(
        ask(rig, "POST", "/v1/sign/example", {"method": "GET", "url": "https://id.example.org/me"})
    )
    answers.append(ask(rig, "POST", "/v1/renew/example"))
    assert all(answer.status == 200 for answer in answers)
    assert not any(b"refresh-" in answer.body for answer in answers)


# --- refusals -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "target", "body", "status", "code"),
    [
        ("GET", "/", None, 404, "usage"),
        ("GET", "/v2/accounts", None, 404, "usage"),
        ("PUT", "/v1/accounts", None, 405, "usage"),
        ("DELETE", "/v1/token/example", None, 405, "usage"),
        ("GET", "/v1/renew/example", None, 405, "usage"),
        ("GET", "/v1/accounts/nobody", None, 404, "account_not_found"),
        ("GET", "/v1/token/example/nobody", None, 404, "account_not_found"),
        ("GET", "/v1/token/example?min_life=much", None, 400, "usage"),
        ("GET", "/v1/token/example?min_life=-1", None, 400, "usage"),
        ("GET", "/v1/token/example?min_life=nan", None, 400, "usage"),
        ("GET", "/v1/token/example?min_life=1e99", None, 400, "usage"),
        ("POST", "/v1/token/example", {}, 400, "usage"),
        ("POST", "/v1/token/example", {"rejected": 7}, 400, "usage"),
        ("POST", "/v1/token/example", [], 400, "usage"),
        ("POST", "/v1/sign/example", {"method": "GET"}, 400, "usage"),
        (
            "POST",
            "/v1/sign/example",
            {"method": "GET", "url": "https://evil.example/"},
            409,
            "host_not_allowed",
        ),
        ("POST", "/v1/sign-ins", {}, 400, "usage"),
        ("POST", "/v1/sign-ins", {"provider": 1}, 400, "usage"),
        ("POST", "/v1/sign-ins", {"provider": "example", "inputs": []}, 400, "usage"),
        ("POST", "/v1/sign-ins", {"provider": "example", "method": "telepathy"}, 400, "usage"),
        ("GET", "/v1/sign-ins/none", None, 404, "sign_in_not_found"),
        ("DELETE", "/v1/sign-ins/none", None, 404, "sign_in_not_found"),
        ("POST", "/v1/sign-ins/none/callback", {"url": "x"}, 404, "sign_in_not_found"),
        ("POST", "/v1/sign-ins/none/callback", {}, 400, "usage"),
    ],
)
def test_what_cannot_be_answered_is_a_problem_document(
    rig: AgentRig, method: str, target: str, body: Any, status: int, code: str
) -> None:
    answer = ask(rig, method, target, body)
    problem = told(answer)
    assert (answer.status, answer.content_type) == (status, PROBLEM)
    assert (problem["code"], problem["status"], problem["type"]) == (code, status, f"urn:keyfob:error:{code}")
    assert problem["detail"]
    assert problem["advice"] == "fix_setting"


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (SignInNeeded("ended"), 409),
        (KeychainError("locked", code="keychain_locked"), 503),
        (Transient("busy", retry_after=timedelta(seconds=7)), 503),
        (Transient("often", code="rate_limited"), 503),
        (PeerFault("odd", detail="The server answered 418: teapot"), 502),
        (SettingWrong("terms", code="sharing_not_allowed"), 409),
        (NotFound("none"), 404),
        (Usage("what"), 400),
        (SignInEnded("gone"), 409),
        (Fault("ours"), 500),
    ],
)
def test_each_failure_has_its_status_and_the_commands_exit(
    rig: AgentRig, monkeypatch: pytest.MonkeyPatch, error: KeyfobError, status: int
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(rig.accounts, "token", fail)
    answer = ask(rig, "GET", "/v1/token/example")
    assert answer.status == status
    assert told(answer)["reason"] == error.detail
    assert dict(answer.headers)["Keyfob-Exit"] == str(error.exit_code)
    assert dict(answer.headers).get("Retry-After") == ("7" if error.retry_after else None)
    plain = ask(rig, "GET", "/v1/token/example", accept=PLAIN)
    here = filled(REMEDIES[error.code], {})
    assert plain.body.decode() == f"{error.message}. {here}"
    assert told(answer)["remedy"] == here, "its clients have no window to press a button in"


@pytest.mark.logs
def test_a_bug_is_told_by_its_kind_alone(rig: AgentRig, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise ValueError("access-1")

    monkeypatch.setattr(rig.accounts, "token", fail)
    answer = ask(rig, "GET", "/v1/token/example")
    assert answer.status == 500
    assert b"ValueError" in answer.body
    assert b"access-1" not in answer.body


# --- other machines -----------------------------------------------------------------------------------------


def unshare(rig: AgentRig) -> None:
    preset = (rig.presets / "example.toml").read_text().replace('id = "example"', 'id = "closed"')
    text = preset.replace("[policy]", '[policy]\nshare = false\nshare_reason = "Its terms say so"')
    (rig.presets / "closed.toml").write_text(text)
    record = rig.record()
    from dataclasses import replace

    account = replace(record.account, key="key-9", provider="closed", label="carol")
    rig.grants.save("key-9", rig.held())
    rig.store.put(replace(record, account=account))


def test_an_account_that_may_not_be_shared_is_told_to_no_tool(rig: AgentRig) -> None:
    unshare(rig)
    token = ask(rig, "GET", "/v1/token/closed")
    sign = ask(rig, "POST", "/v1/sign/closed", {"method": "GET", "url": "https://id.example.org/me"})
    for answer in (token, sign):
        assert (answer.status, told(answer)["code"]) == (409, "sharing_not_allowed")
        assert b"access-1" not in answer.body


def test_only_accounts_marked_shareable_cross_to_another_machine(rig: AgentRig) -> None:
    unshare(rig)
    listed = told(ask(rig, "GET", "/v1/accounts", peer=AFAR))["accounts"]
    assert [account["id"] for account in listed] == ["example/alice"]
    assert told(ask(rig, "GET", "/v1/token/example", peer=AFAR))["token"] == "access-1"
    for target in ("/v1/accounts/closed/carol", "/v1/token/closed"):
        assert told(ask(rig, "GET", target, peer=AFAR))["code"] == "sharing_not_allowed"


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("POST", "/v1/sign-ins"),
        ("GET", "/v1/sign-ins/x"),
        ("POST", "/v1/renew/example"),
        ("GET", "/v1/events"),
    ],
)
def test_another_machine_begins_and_changes_nothing(rig: AgentRig, method: str, target: str) -> None:
    assert ask(rig, method, target, {"provider": "example"}, peer=AFAR).status == 403
    assert rig.sign_in.attempts == []
    assert rig.server.log == []


def current(rig: AgentRig, peer: Peer = HERE) -> str:
    return str(told(ask(rig, "GET", "/v1/token/example", peer=peer))["token"])


def refuse(rig: AgentRig, token: str, peer: Peer = HERE) -> Answer:
    return ask(rig, "POST", "/v1/token/example/alice", {"rejected": token}, peer=peer)


def test_s81_another_machine_cannot_rotate_at_will(rig: AgentRig) -> None:
    """S-81: through a forwarded socket a token younger than 30 s is not
    replaced, by whichever way it is asked.
    """
    token = current(rig, AFAR)
    for _ in range(20):
        answer = refuse(rig, token, AFAR)
        assert (answer.status, told(answer)["code"]) == (503, "rate_limited")
        assert dict(answer.headers)["Retry-After"] == "30"
        least = ask(rig, "GET", "/v1/token/example?min_life=999999", peer=AFAR)
        assert told(least)["token"] == token
        signing = {"method": "GET", "url": "/", "rejected": token}
        assert ask(rig, "POST", "/v1/sign/example/alice", signing, peer=AFAR).status == 503
    assert rig.server.log == []
    # An older one than the current is no reason to replace anything, and is told which it is.
    assert told(refuse(rig, "an older one", AFAR))["token"] == token
    rig.clock.forward(seconds=31)
    newer = told(refuse(rig, token, AFAR))["token"]
    assert newer != token
    assert refuse(rig, newer, AFAR).status == 503
    assert told(refuse(rig, token, AFAR))["token"] == newer
    assert rig.server.log == ["refresh"]


@pytest.mark.parametrize("way", ["rejected", "min_life"])
def test_s81_a_loop_on_this_computer_ends(rig: AgentRig, way: str) -> None:
    """S-81: a program here may have a fresh token replaced at once, but not in a loop."""
    for _ in range(40):
        if way == "rejected":
            refuse(rig, current(rig))
        else:
            assert ask(rig, "GET", "/v1/token/example?min_life=999999").status == 200
        rig.clock.forward(seconds=0.1)
    assert rig.server.log == ["refresh"] * 12
    assert ask(rig, "GET", "/v1/token/example").status == 200
    if way == "rejected":
        answer = refuse(rig, current(rig))
        assert (answer.status, told(answer)["code"]) == (503, "rate_limited")
        assert 50 < int(dict(answer.headers)["Retry-After"]) <= 60
    rig.clock.forward(minutes=1)
    before = current(rig)
    assert told(refuse(rig, before))["token"] != before


# --- signing in ---------------------------------------------------------------------------------------------


def test_a_sign_in_is_begun_seen_and_completed_with_a_pasted_address(rig: AgentRig) -> None:
    begun = ask(
        rig, "POST", "/v1/sign-ins", {"provider": "example", "method": "oauth", "open_browser": False}
    )
    assert begun.status == 201
    one = told(begun)
    assert (one["stage"], one["url"]) == ("waiting", "https://id.example.org/authorize?state=s")
    assert told(ask(rig, "GET", f"/v1/sign-ins/{one['id']}")) == one
    attempt = rig.sign_in.attempts[0]
    assert (attempt.request.provider, attempt.request.open_browser) == ("example", False)
    ended = threading.Event()
    attempt.observe(lambda progress: ended.set() if progress.ended else None)
    address = "http://127.0.0.1:9876/callback?code=c&state=s"
    assert ask(rig, "POST", f"/v1/sign-ins/{one['id']}/callback", {"url": address}).status == 200
    assert attempt.pasted == [address]
    assert ended.wait(5)
    after = told(ask(rig, "GET", f"/v1/sign-ins/{one['id']}"))
    assert (after["stage"], after["ended"], after["url"]) == ("done", True, None)


def test_a_sign_in_is_bound_to_an_account_and_cancelled(rig: AgentRig) -> None:
    one = told(ask(rig, "POST", "/v1/sign-ins", {"account": "example/alice", "switch_method": True}))
    request = rig.sign_in.attempts[0].request
    assert (request.account, request.switch_method) == ("example/alice", True)
    assert told(ask(rig, "DELETE", f"/v1/sign-ins/{one['id']}"))["stage"] == "cancelled"


def test_a_failed_sign_in_says_why_until_it_is_forgotten(rig: AgentRig) -> None:
    one = told(ask(rig, "POST", "/v1/sign-ins", {"provider": "example"}))
    attempt = rig.sign_in.attempts[0]
    attempt.error = SignInEnded("Declined", code="declined")
    attempt.paste("go")
    until(lambda: attempt.progress.ended and rig.sign_ins.running[one["id"]].ended.is_set())
    shown = told(ask(rig, "GET", f"/v1/sign-ins/{one['id']}"))
    assert shown["error"]["code"] == "declined"
    rig.clock.forward(seconds=SIGN_INS_KEPT.total_seconds())
    other = told(ask(rig, "POST", "/v1/sign-ins", {"provider": "example"}))
    assert ask(rig, "GET", f"/v1/sign-ins/{one['id']}").status == 404
    assert ask(rig, "DELETE", f"/v1/sign-ins/{other['id']}").status == 200


def test_s81_sign_ins_are_bounded(rig: AgentRig) -> None:
    """S-81: a program that begins sign-ins in a loop takes neither every port nor all memory."""
    begun = [
        told(ask(rig, "POST", "/v1/sign-ins", {"provider": "example"}))["id"] for _ in range(SIGN_INS_MOST)
    ]
    refused = ask(rig, "POST", "/v1/sign-ins", {"provider": "example"})
    assert (refused.status, told(refused)["code"]) == (503, "busy")
    for one in begun:
        ask(rig, "DELETE", f"/v1/sign-ins/{one}")
        until(rig.sign_ins.running[one].ended.is_set)
    for _ in range(100):
        one = told(ask(rig, "POST", "/v1/sign-ins", {"provider": "example"}))["id"]
        ask(rig, "DELETE", f"/v1/sign-ins/{one}")
        until(rig.sign_ins.running[one].ended.is_set)
    assert len(rig.sign_ins.running) <= ENDED_SIGN_INS_MOST + 1
    assert ask(rig, "GET", f"/v1/sign-ins/{one}").status == 200


def test_what_cannot_begin_is_told_at_once(rig: AgentRig) -> None:
    rig.sign_in.error = SettingWrong("No client id", code="client_missing")
    assert told(ask(rig, "POST", "/v1/sign-ins", {"provider": "example"}))["code"] == "client_missing"


def test_at_the_end_sign_ins_are_cancelled(rig: AgentRig) -> None:
    ask(rig, "POST", "/v1/sign-ins", {"provider": "example"})
    rig.api.close()
    assert rig.sign_in.attempts[0].progress.stage == "cancelled"


# --- events -------------------------------------------------------------------------------------------------


def test_an_event_is_one_message_whatever_is_in_it() -> None:
    event = LoggedEvent(START, "example/alice", "key-1", "renewed", "two\nlines", None, 7)
    text = event_line(event).decode()
    assert text.startswith("id: 7\nevent: renewed\ndata: {")
    assert text.count("\n") == 4
    assert text.endswith("}\n\n")
    assert not event_line(LoggedEvent(START, "a/b", "k", "renewing", "")).startswith(b"id")


def test_an_app_registration_is_kept_as_it_was_sent(rig: AgentRig) -> None:
    kept: list[tuple[object, ...]] = []
    rig.api.keep_client = lambda *what: kept.append(what)
    full = {"client_id": "app", "client_secret": "s3cret", "inputs": {"instance": "a.example"}}
    done = ask(rig, "POST", "/v1/clients/example", full)
    assert told(done) == {"provider": "example", "client_id": "app"}
    assert ask(rig, "POST", "/v1/clients/example", {"client_id": "app"}).status == 200
    assert kept == [
        ("example", {"instance": "a.example"}, "app", Secret("s3cret")),
        ("example", {}, "app", None),
    ]
    for wrong in ({}, {"client_id": 1}, full | {"client_secret": 7}, full | {"inputs": {"instance": 7}},
                  full | {"inputs": []}):  # fmt: skip
        assert ask(rig, "POST", "/v1/clients/example", wrong).status == 400
    assert ask(rig, "GET", "/v1/clients/example").status == 405
    assert ask(rig, "POST", "/v1/clients/example", full, peer=AFAR).status == 403
    assert len(kept) == 2
