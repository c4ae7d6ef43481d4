"""Nextcloud's Login Flow v2."""

from __future__ import annotations

import base64
from datetime import timedelta
from typing import Any

import pytest

from keyfob.core.errors import KeyfobError, PeerFault, SettingWrong, SignInEnded, Transient
from keyfob.core.provider import Endpoints, Provider, Server
from keyfob.core.secret import Secret
from keyfob.protocol.context import Client, FlowContext, SignInResult
from keyfob.protocol.effects import Wait
from keyfob.protocol.nextcloud import LIFE, app_password, forget_app_password
from support.playbook import ENV, Answer, Playbook, Step, json_answer, opens, sends, waits

BASE = "https://cloud.example"
CTX = FlowContext(Provider("cloud", "Cloud"), Server(BASE, Endpoints()), Client(None), ENV)
BEGIN = f"{BASE}/index.php/login/v2"
POLL = f"{BASE}/login/v2/poll"
LOGIN = (
    f"{BASE}/login/v2/flow/"
    "guyjGtcKPTKCi4epIRIupIexgJ8wNInMFSfHabACRPZUkmEaWZSM54bFkFuzWksbps7jmTFQjeskLpyJXyhpHlgK8sZBn9HXLXjohIx5iXgJKdOkkZTYCzUWHlsg3YFg"
)
DONE = {
    "server": BASE,
    "loginName": "alice",
    "appPassword": "yKTVA4zgxjfivy52WqD8kW3M2pKGQr6srmUXMipRdunxjPFripJn0GMfmtNOqOolYSuJ6sCN",
}
NOT_YET = Answer(404, b"[]")


def begins(**changes: Any) -> Step:
    return sends(
        "POST",
        BEGIN,
        gives=json_answer({"poll": {"token": "t-1", "endpoint": POLL}, "login": LOGIN, **changes}),
    )


def asks(gives: Answer | Exception) -> Step:
    return sends("POST", POLL, form={"token": "t-1"}, gives=gives)


def at(base: str, book: Playbook) -> FlowContext:
    return FlowContext(Provider("cloud", "Cloud"), Server(base, Endpoints()), Client(None), book.env)


def signed_in(*steps: Step, base: str = BASE) -> SignInResult:
    book = Playbook(*steps)
    return book.perform(app_password(at(base, book)))


def test_the_whole_way() -> None:
    result = signed_in(
        begins(), opens(lambda url: url == LOGIN or pytest.fail(url)), waits(2), asks(NOT_YET), waits(2),
        asks(json_answer(DONE)),
    )  # fmt: skip
    assert result.grant.access == Secret(DONE["appPassword"])
    assert (result.grant.token_type, result.grant.refresh, result.grant.expires_at) == ("Basic", None, None)
    assert (result.identity.subject, result.identity.username) == ("alice@cloud.example", "alice")
    assert dict(result.extra) == {"login": "alice", "server": BASE}


def test_a_server_below_a_path() -> None:
    base = f"{BASE}/nextcloud"
    book = Playbook(
        sends("POST", f"{base}/index.php/login/v2", gives=json_answer(
            {"poll": {"token": "t-1", "endpoint": POLL}, "login": LOGIN})),
        opens(), waits(2), asks(json_answer({**DONE, "server": f"{base}/"})),
    )  # fmt: skip
    result = book.perform(app_password(at(base + "/", book)))
    assert result.identity.subject == "alice@cloud.example/nextcloud"
    assert result.extra["server"] == base


@pytest.mark.parametrize("passing", [Transient("no network"), Answer(503), Answer(502, b"<html>")])
def test_a_failing_network_only_makes_it_slower(passing: Answer | Exception) -> None:
    signed_in(
        begins(), opens(), waits(2), asks(passing), waits(4), asks(passing), waits(8), asks(NOT_YET),
        waits(2),
        asks(json_answer(DONE)),
    )  # fmt: skip


def test_the_backoff_has_an_end_and_retry_after_is_obeyed() -> None:
    down = [step for n in (2, 4, 8, 16, 30, 30) for step in (waits(n), asks(Transient("x")))]
    busy = asks(Answer(429, b"", {"retry-after": "90"}))
    signed_in(begins(), opens(), *down, waits(30), busy, waits(90), asks(json_answer(DONE)))


def test_after_twenty_minutes_it_ends() -> None:
    book = Playbook(
        begins(), opens(), *(step for _ in range(599) for step in (waits(2), asks(NOT_YET))), waits(2)
    )
    with pytest.raises(SignInEnded) as caught:
        book.perform(app_password(at(BASE, book)))
    assert caught.value.code == "timed_out"
    assert sum((e.span for e in book.effects if isinstance(e, Wait)), timedelta()) == LIFE


@pytest.mark.parametrize(
    "changes",
    [
        {"poll": None}, {"poll": "x"}, {"poll": {}}, {"poll": {"token": "", "endpoint": POLL}},
        {"poll": {"token": 5, "endpoint": POLL}},
        {"poll": {"token": "t-1", "endpoint": "https://evil.example/poll"}},
        {"poll": {"token": "t-1", "endpoint": "https://cloud.example:444/poll"}},
        {"login": "https://evil.example/login"}, {"login": "http://cloud.example/login"}, {"login": None},
        {"login": "file:///etc/passwd"},
    ],
)  # fmt: skip
def test_addresses_that_are_not_the_server_s_own_are_refused(changes: dict[str, Any]) -> None:
    book = Playbook(begins(**changes))
    with pytest.raises((PeerFault, SettingWrong)):
        book.perform(app_password(at(BASE, book)))
    assert len(book.effects) == 1, "no browser opened, nothing asked"


@pytest.mark.parametrize(
    "changes",
    [
        {"loginName": ""}, {"loginName": None}, {"loginName": "a:b"},
        {"loginName": "a\nb"}, {"appPassword": ""}, {"appPassword": 7}, {"appPassword": "ü"},
        {"appPassword": "a\r\nb"},
    ],
)  # fmt: skip
def test_a_result_that_cannot_be_used_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises((PeerFault, SettingWrong)):
        signed_in(begins(), opens(), waits(2), asks(json_answer({**DONE, **changes})))


@pytest.mark.parametrize("server", ["https://evil.example", "http://cloud.example", "localhost", "", None, 7])
def test_another_server_s_address_is_not_taken(server: Any) -> None:
    result = signed_in(begins(), opens(), waits(2), asks(json_answer({**DONE, "server": server})))
    assert result.extra["server"] == BASE
    assert result.identity.subject == "alice@cloud.example"


def test_a_refusal_ends_it() -> None:
    with pytest.raises(KeyfobError):
        signed_in(begins(), opens(), waits(2), asks(json_answer({"error": "forbidden"}, 403)))


@pytest.mark.parametrize("base", ["http://cloud.example", "cloud.example", "", "https://u@cloud.example"])
def test_unsafe_servers_are_not_asked(base: str) -> None:
    with pytest.raises(SettingWrong):
        signed_in(base=base)


FORGET = f"{BASE}/ocs/v2.php/core/apppassword"


@pytest.mark.parametrize(
    ("status", "told"), [(200, "yes"), (401, "yes"), (403, "unsupported"), (404, "unsupported")]
)
def test_forgetting_the_app_password(status: int, told: str) -> None:
    book = Playbook(sends("DELETE", FORGET, gives=Answer(status)))
    assert book.perform(forget_app_password(CTX, BASE + "/", "alice", Secret("pw"))) == told
    headers = book.requests[0].headers
    assert headers["OCS-APIRequest"] == "true"
    assert base64.b64decode(headers["Authorization"].removeprefix("Basic ")) == b"alice:pw"


@pytest.mark.parametrize("status", [408, 429, 503])
def test_forgetting_later(status: int) -> None:
    with pytest.raises(Transient):
        Playbook(sends("DELETE", FORGET, gives=Answer(status))).perform(
            forget_app_password(CTX, BASE, "a", Secret("p"))
        )
