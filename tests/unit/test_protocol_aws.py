"""AWS IAM Identity Center: a registration and names of its own, and the access portal."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from keyfob.core.errors import KeyfobError, PeerFault, SignInNeeded, Transient, Usage
from keyfob.core.http import Request
from keyfob.core.provider import Endpoints, Provider, Server
from keyfob.core.secret import Secret
from keyfob.protocol.aws_portal import PAGES_MOST, AwsRole, role_keys, roles
from keyfob.protocol.oauth.provider_quirks import own_registration
from keyfob.protocol.oauth.sso_oidc import in_its_names, in_our_names, register
from support.playbook import Answer, Playbook, Step, json_answer, sends

REGISTER = "https://oidc.eu-west-1.amazonaws.com/client/register"
SERVER = Server("https://acme.awsapps.com/start", Endpoints(registration_endpoint=REGISTER))
BASE = "https://portal.sso.eu-west-1.amazonaws.com"
KEYS = f"{BASE}/federation/credentials?role_name=Admin&account_id=111122223333"
TOKEN = Secret("made-up-token")
CLIENT = {"clientId": "cid", "clientSecret": "made-up-secret", "clientSecretExpiresAt": 1_800_000_000}
GOOD = {"accessKeyId": "ASIA", "secretAccessKey": "s", "sessionToken": "t", "expiration": 1_800_000_000_000}


def registered(redirect: str | None, answer: Any = CLIENT, **expected: Any) -> Any:
    def check(request: Request) -> None:
        assert json.loads(request.body or b"") == {
            "clientName": "Keyfob",
            "clientType": "public",
            "scopes": ["sso:account:access"],
            **expected,
        }

    book = Playbook(sends("POST", REGISTER, gives=json_answer(answer), check=check))
    return book.perform(register(SERVER, redirect, ["sso:account:access"]))


@pytest.mark.parametrize(
    ("redirect", "sent"),
    [
        ("http://127.0.0.1:9876/oauth/callback", "http://127.0.0.1/oauth/callback"),
        ("http://[::1]:9876/oauth/callback", "http://[::1]/oauth/callback"),
    ],
)
def test_a_client_for_the_browser_is_registered_without_the_port(redirect: str, sent: str) -> None:
    found = registered(
        redirect,
        grantTypes=["authorization_code", "refresh_token"],
        redirectUris=[sent],
        issuerUrl="https://acme.awsapps.com/start",
    )
    assert (found.client_id, found.auth) == ("cid", "client_secret_post")
    assert found.client_secret.reveal() == "made-up-secret"
    assert found.secret_expires_at == datetime.fromtimestamp(1_800_000_000, UTC)


@pytest.mark.parametrize("ends", [None, True, 0, -5, 10**15, "soon"])
def test_a_client_for_a_code_needs_no_redirect_and_perhaps_never_ends(ends: Any) -> None:
    assert registered(None, {**CLIENT, "clientSecretExpiresAt": ends}).secret_expires_at is None


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"clientId": "", "clientSecret": "s"},
        {"clientId": "cid"},
        {"clientId": 1, "clientSecret": "s"},
    ],
)
def test_an_answer_without_a_client_is_refused(wrong: Any) -> None:
    with pytest.raises(PeerFault) as refused:
        registered(None, wrong)
    assert refused.value.code == "response_invalid"


def test_the_quirk_stands_for_this_registration() -> None:
    provider = Provider("aws", "AWS", quirks=("aws_sso_oidc",))
    flow = own_registration(provider, SERVER, None, ["sso:account:access"])
    assert flow is not None
    assert Playbook(sends("POST", REGISTER, gives=json_answer(CLIENT))).perform(flow).client_id == "cid"


def test_names_change_only_with_the_quirk() -> None:
    asked = {"grant_type": "refresh_token", "client_id": "c", "scope": "s", "scopes": "s"}
    assert in_its_names(["aws_sso_oidc"], asked) == {"grantType": "refresh_token", "clientId": "c"}
    assert in_its_names([], asked) == asked
    answer = {"deviceCode": "d", "interval": 1}
    assert in_our_names(["aws_sso_oidc"], answer) == {"device_code": "d", "interval": 1}
    assert in_our_names([], answer) == answer


# --- the portal ---------------------------------------------------------------------------------------------


def asks(path: str, gives: Answer | Exception) -> Step:
    def check(request: Request) -> None:
        assert request.headers["x-amz-sso_bearer_token"] == "made-up-token"

    return sends("GET", BASE + path, gives=gives, check=check)


def test_roles_come_page_by_page() -> None:
    first = {"accountList": [{"accountId": "1", "accountName": "One"}, {"accountName": "none"}]}
    second = {"accountList": [{"accountId": "2"}, "no account"], "nextToken": ""}
    book = Playbook(
        asks("/assignment/accounts?max_result=100", json_answer({**first, "nextToken": "n"})),
        asks("/assignment/accounts?max_result=100&next_token=n", json_answer(second)),
        asks(
            "/assignment/roles?account_id=1&max_result=100",
            json_answer({"roleList": [{"roleName": "Admin"}, {"roleName": 7}]}),
        ),
        asks("/assignment/roles?account_id=2&max_result=100", json_answer({"roleList": "none"})),
    )
    assert book.perform(roles(BASE, TOKEN)) == [AwsRole("1", "One", "Admin")]


def test_pages_without_end_are_not_read_for_ever() -> None:
    def page(number: int) -> Step:
        more = f"&next_token=n{number - 1}" if number else ""
        answer = {"accountList": [], "nextToken": f"n{number}"}
        return asks(f"/assignment/accounts?max_result=100{more}", json_answer(answer))

    book = Playbook(*(page(number) for number in range(PAGES_MOST)))
    assert book.perform(roles(BASE, TOKEN)) == []


def keys(answer: Answer | Exception) -> Any:
    book = Playbook(sends("GET", KEYS, gives=answer))
    return book.perform(role_keys(BASE, TOKEN, "111122223333", "Admin"))


def test_keys_for_a_role() -> None:
    found = keys(json_answer({"roleCredentials": GOOD}))
    assert (found.access_key_id, found.secret_access_key.reveal(), found.session_token.reveal()) == (
        "ASIA",
        "s",
        "t",
    )
    assert found.expires_at == datetime.fromtimestamp(1_800_000_000, UTC)
    assert "'s'" not in repr(found)


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        {**GOOD, "accessKeyId": ""},
        {**GOOD, "sessionToken": "a\nb"},
        {**GOOD, "secretAccessKey": "ä"},
        {**GOOD, "expiration": "soon"},
        {**GOOD, "expiration": 0},
        {**GOOD, "expiration": True},
        {**GOOD, "expiration": 10**17},
    ],
)
def test_unusable_keys_are_refused(wrong: Any) -> None:
    with pytest.raises(PeerFault) as refused:
        keys(json_answer({"roleCredentials": wrong}))
    assert refused.value.code == "response_invalid"


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (401, SignInNeeded, "token_rejected"),
        (403, Usage, "role_unknown"),
        (404, Usage, "role_unknown"),
        (429, Transient, "rate_limited"),
        (400, PeerFault, "protocol_violation"),
        (503, Transient, "provider_unavailable"),
    ],
)
def test_refusals(status: int, kind: type[KeyfobError], code: str) -> None:
    with pytest.raises(kind) as refused:
        keys(json_answer({"message": "No access"}, status))
    assert refused.value.code == code


def test_an_account_that_may_not_be_listed_is_the_provider_s_fault() -> None:
    book = Playbook(asks("/assignment/accounts?max_result=100", json_answer({"message": "No access"}, 403)))
    with pytest.raises(KeyfobError) as refused:
        book.perform(roles(BASE, TOKEN))
    assert refused.value.code != "role_unknown"
