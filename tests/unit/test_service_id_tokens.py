"""ID tokens for tools: the last one that came, renewed if it has expired, for one renewal in all."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from keyfob.agent.endpoints import Peer
from keyfob.agent.http import Incoming
from keyfob.core.errors import SettingWrong, SignInNeeded, Transient
from keyfob.core.grant import seal, unseal
from keyfob.core.secret import Secret
from support.agent_rig import AgentRig
from support.cli_run import opens, run
from support.signer import signer


def id_token(rig: AgentRig, *, life: int = 300, **claims: Any) -> str:
    now = int(rig.clock().timestamp())
    known = {"iss": "https://id.example.org", "sub": "subject-1", "aud": "client-1"}
    return signer().sign({**known, "iat": now, "exp": now + life, **claims})


@pytest.fixture
def rig(tmp_path: Path) -> AgentRig:
    made = AgentRig(tmp_path)
    made.connect()
    return made


def give(rig: AgentRig, **more: Any) -> str:
    """The sign-in brought an ID token."""
    token = id_token(rig, **more)
    held = rig.grants.newest("key-1")
    assert held is not None
    rig.grants.save(
        "key-1", replace(held.grant, id_token=Secret(token), generation=held.grant.generation + 1)
    )
    return token


def asked(rig: AgentRig) -> str:
    return rig.engine.id_tokens.token("example").token.reveal()


def test_the_sign_ins_is_given_while_it_lives(rig: AgentRig) -> None:
    first = give(rig)
    found = rig.engine.id_tokens.token("example")
    assert found.to_json() == {
        "account": "example/alice",
        "token": first,
        "token_type": "id_token",
        "expires_at": "2026-11-20T12:05:00Z",
        "scopes": ["openid", "profile"],
    }
    assert rig.server.log == []


def test_an_expired_one_is_renewed_once_for_all_who_ask(rig: AgentRig) -> None:
    first = give(rig)
    rig.clock.forward(minutes=6)
    rig.server.extra = {"id_token": id_token(rig)}
    together, got = threading.Barrier(8), []

    def ask() -> None:
        together.wait(10)
        got.append(asked(rig))

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert set(got) == {rig.server.extra["id_token"]}
    assert len(got) == 8
    assert first not in got
    assert rig.server.log == ["refresh"]
    held = rig.grants.newest("key-1")
    assert held is not None
    assert held.grant.refresh == Secret(str(rig.server.current)), "the rotated refresh token is kept"
    assert held.grant.id_token == Secret(first), "the sign-in's stays, to compare the next with"


def test_one_that_a_renewal_does_not_bring_is_said_and_not_asked_for_again(rig: AgentRig) -> None:
    give(rig)
    rig.clock.forward(minutes=6)
    for _ in range(2):
        with pytest.raises(SignInNeeded) as caught:
            asked(rig)
        assert caught.value.code == "id_token_expired"
    assert rig.server.log == ["refresh"]
    assert rig.accounts.view("example").status == "connected", "the access token still works"


def test_a_renewal_that_fails_leaves_one_that_still_lives(rig: AgentRig) -> None:
    first = give(rig)
    rig.clock.forward(seconds=270)
    rig.server.faults = [Transient("down", sent=False), Transient("down", sent=False)]
    assert asked(rig) == first
    rig.clock.forward(minutes=1)
    with pytest.raises(Transient):
        asked(rig)


@pytest.mark.parametrize("claims", [{"sub": "mallory"}, {"iss": "https://evil.example"}, {"aud": "other"}])
def test_s38_one_of_somebody_else_is_never_given(rig: AgentRig, claims: dict[str, Any]) -> None:
    """S-38: it was saved, and the process ended before it was checked."""
    first = give(rig)
    held = rig.grants.newest("key-1")
    assert held is not None
    stranger = Secret(id_token(rig, life=900, **claims))
    rig.grants.save("key-1", replace(held.grant, new_id_token=stranger, generation=held.grant.generation + 1))
    assert asked(rig) == first


def test_an_account_without_one_says_so(rig: AgentRig) -> None:
    with pytest.raises(SettingWrong) as caught:
        asked(rig)
    assert caught.value.message == "Example gave example/alice no ID token"
    ran = run(["token", "example", "--id-token"], opens(rig.engine))
    assert (ran.code, ran.out) == (8, "")
    assert "keyfob reconnect example/alice --scope openid" in ran.last


def test_terms_that_keep_the_token_from_tools_keep_this_one_too(rig: AgentRig) -> None:
    give(rig)
    file = rig.presets / "example.toml"
    file.write_text(file.read_text().replace("[policy]", '[policy]\nshare = false\nshare_reason = "Terms"'))
    with pytest.raises(SettingWrong) as caught:
        asked(rig)
    assert caught.value.code == "sharing_not_allowed"


def test_the_keychain_keeps_it_and_older_entries_are_read(rig: AgentRig) -> None:
    grant = rig.held()
    with_one = replace(grant, new_id_token=Secret("new"))
    assert unseal(seal(with_one)) == with_one
    assert "new_id_token" not in seal(grant).reveal()
    assert unseal(seal(grant)).new_id_token is None


def test_the_agent_and_the_commands_give_it(rig: AgentRig) -> None:
    token = give(rig)
    answer = rig.api.answer(Incoming("GET", "/v1/id-token/example", {}, b"", True), Peer(1, 0))
    assert (answer.status, json.loads(answer.body)["token"]) == (200, token)
    assert run(["token", "example", "--id-token"], opens(rig.engine)).out == f"{token}\n"
    header = run(["token", "example", "--id-token", "--header"], opens(rig.engine)).out
    assert header == f"Authorization: Bearer {token}\n"
    credential = json.loads(run(["credential", "kubectl", "example", "--id-token"], opens(rig.engine)).out)
    assert credential["status"] == {"token": token, "expirationTimestamp": "2026-11-20T12:05:00Z"}
    assert run(["token", "example", "--id-token", "--min-life", "5"], opens(rig.engine)).code == 2


def test_header_and_json_together_have_both(rig: AgentRig) -> None:
    document = json.loads(run(["token", "example", "--header", "--json"], opens(rig.engine)).out)
    assert (document["token"], document["header"]) == ("access-1", "Authorization: Bearer access-1")


def test_its_lifetime_is_not_taken_for_the_access_tokens(rig: AgentRig) -> None:
    """A short ID token asks for a renewal each time it ends, whatever the access token has left."""
    give(rig, life=120)
    for _ in range(3):
        rig.clock.forward(seconds=130)
        rig.server.extra = {"id_token": id_token(rig, life=120)}
        assert asked(rig) == rig.server.extra["id_token"]
    assert rig.server.log == ["refresh"] * 3
    assert rig.clock() - rig.held().obtained_at < timedelta(minutes=1)
