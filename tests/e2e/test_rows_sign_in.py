"""S-1 to S-10, S-26, S-34 and S-54 to S-57 through the whole engine:
what is thrown, what happens, what does not come.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from keyfob.core.grant import unseal, unseal_key
from keyfob.core.provider import RedirectProfile
from support.misbehaving import METADATA, Misbehaving
from support.whole_engine import Page, Whole, browse, get

pytestmark = pytest.mark.network
NOT_CALLED = {"/token", "/userinfo", "/revoke"}


def nothing_kept(whole: Whole) -> bool:
    return not whole.engine.accounts.views() and not [
        n for n in whole.entries() if n.endswith(("/a", "/b", "/dpop"))
    ]


@pytest.mark.parametrize("case", ["S-1 file", "S-1 http", "S-1 dash", "S-1 javascript"])
def test_s_1_an_address_no_browser_may_get(whole: Whole, case: str) -> None:
    whole.provider.become(case)
    assert whole.fails().code in ("endpoint_unsafe", "metadata_invalid")
    assert "browser" not in whole.stages
    assert whole.provider.paths() == [METADATA]


@pytest.mark.parametrize("case", ["S-2 other", "S-2 slash", "S-2 http", "S-2 absent", "S-2 redirect"])
def test_s_2_metadata_of_another_issuer(whole: Whole, case: str) -> None:
    whole.provider.become(case)
    assert whole.fails().code in ("issuer_mismatch", "metadata_invalid")
    assert "browser" not in whole.stages
    assert whole.provider.paths() == [METADATA]


def test_s_3_a_server_of_plain_only_is_refused(whole: Whole) -> None:
    whole.provider.become("S-3 plain")
    assert whole.fails().code == "pkce_unsupported"
    assert whole.provider.paths() == [METADATA]


def test_s_3_a_silent_server_gets_s256_all_the_same(whole: Whole) -> None:
    whole.provider.become("S-3 silent")
    whole.connect()
    assert whole.authorization["code_challenge_method"] == "S256"
    verifier = whole.provider.forms("/token")[0]["code_verifier"]
    assert 43 <= len(verifier) <= 128
    digest = base64.urlsafe_b64encode(hashlib.sha256(verifier.encode()).digest()).rstrip(b"=").decode()
    assert whole.authorization["code_challenge"] == digest


def test_s_3_and_5_ten_thousand_sign_ins_share_nothing(whole: Whole) -> None:
    from keyfob.service.sign_in.browser import STATE_BYTES, VERIFIER_BYTES

    drawn = {whole.entropy(size) for _ in range(10_000) for size in (STATE_BYTES, VERIFIER_BYTES)}
    assert len(drawn) == 20_000
    assert STATE_BYTES * 8 >= 128


def test_s_4_never_without_the_challenge(whole: Whole) -> None:
    whole.provider.become("S-4 rejects")
    whole.fails()
    assert whole.provider.count("/token") == 1
    assert "code_verifier" in whole.provider.forms("/token")[0]
    assert whole.provider.count("/authorize") == 1
    assert nothing_kept(whole)


def before_the_real_one(
    wrong: Callable[[str, dict[str, str]], str], expected: int = 400
) -> Callable[[str], list[Page]]:
    """A browser that goes to `wrong(redirect_uri, real parameters)` before it comes back as it should."""

    def visit(url: str) -> list[Page]:
        first = get(url)
        real = first.headers["location"]
        redirect_uri, _, query = real.partition("?")
        page = get(wrong(redirect_uri, dict(parse_qsl(query))))
        assert page.status == expected, page.text
        return [first, page, *browse(real)]

    return visit


WRONG = {
    "S-5 missing": lambda at, p: f"{at}?{urlencode({'code': 'evil', 'iss': p['iss']})}",
    "S-5 wrong": lambda at, p: f"{at}?{urlencode({**p, 'state': 'x' * 32, 'code': 'evil'})}",
    "S-5 shorter": lambda at, p: f"{at}?{urlencode({**p, 'state': p['state'][:-1], 'code': 'evil'})}",
    "S-6 error without state": lambda at, p: f"{at}?error=access_denied",
    "S-6 error with wrong state": lambda at, p: f"{at}?error=access_denied&state=x",
    "S-7 wrong": lambda at, p: f"{at}?{urlencode({**p, 'iss': 'https://evil.example'})}",
    "S-7 absent": lambda at, p: f"{at}?{urlencode({k: v for k, v in p.items() if k != 'iss'})}",
    "S-7 doubled": lambda at, p: f"{at}?{urlencode(p)}&iss={p['iss']}",
    "S-7 on an error": lambda at, p: (
        f"{at}?error=access_denied&state={p['state']}&iss=https%3A%2F%2Fevil.example"
    ),
    "S-10 code twice": lambda at, p: f"{at}?{urlencode(p)}&code=evil",
    "S-10 encoded name": lambda at, p: f"{at}?%63ode=evil&{urlencode(p)}",
    "S-10 state twice": lambda at, p: f"{at}?{urlencode(p)}&state={p['state']}",
}


@pytest.mark.parametrize("name", WRONG)
def test_s_5_to_10_a_wrong_callback_costs_nothing_and_the_real_one_still_works(
    whole: Whole, name: str
) -> None:
    tokens: list[int] = []

    def counted(at: str, params: dict[str, str]) -> str:
        tokens.append(whole.provider.count("/token"))
        return WRONG[name](at, params)

    whole.visit = before_the_real_one(counted)
    assert whole.connect().status == "connected"
    assert tokens == [0]
    assert [form["code"] for form in whole.provider.forms("/token")] != ["evil"]
    assert whole.provider.count("/token") == 1


def test_s_5_a_replayed_callback_is_no_second_sign_in(whole: Whole) -> None:
    again: list[int] = []

    def visit(url: str) -> list[Page]:
        first = get(url)
        pages = [first, get(first.headers["location"]), get(first.headers["location"])]
        again.extend(page.status for page in pages[1:])
        return pages

    whole.visit = visit
    whole.connect()
    assert whole.provider.count("/token") == 1
    assert again[0] == 303


def test_s_5_a_state_of_an_attempt_that_has_ended(whole: Whole) -> None:
    """Expired: the first attempt's answer comes while the second one waits."""
    late: list[str] = []

    def keep(url: str) -> list[Page]:
        late.append(get(url).headers["location"])
        return []

    whole.visit = keep
    assert whole.fails(timeout=0.4).code == "timed_out"

    def visit(url: str) -> list[Page]:
        first = get(url)
        here = urlsplit(first.headers["location"])
        page = get(f"{here.scheme}://{here.netloc}{here.path}?{urlsplit(late[0]).query}")
        assert page.status == 400
        return browse(first.headers["location"])

    whole.visit = visit
    assert whole.connect().status == "connected"
    assert whole.provider.count("/token") == 1


@pytest.mark.parametrize(
    "case", ["S-7 wrong", "S-7 doubled", "S-7 absent", "S-10 code", "S-10 encoded", "S-10 state"]
)
def test_s_7_and_10_a_server_that_answers_so_itself(whole: Whole, case: str) -> None:
    whole.provider.become(case)
    assert whole.fails(timeout=1.0).code in (
        "timed_out",
        "issuer_mismatch",
        "state_mismatch",
        "protocol_violation",
    )
    assert not NOT_CALLED & set(whole.provider.paths())
    assert nothing_kept(whole)


def test_s_10_unknown_parameters_are_ignored(whole: Whole) -> None:
    whole.provider.become("S-10 unknown")
    assert whole.connect().status == "connected"


def test_s_8_a_sign_in_begun_at_one_server_is_not_answered_by_another(whole: Whole) -> None:
    """Mix-up: the person ends up at B, whose code and issuer come back
    under A's state. A never sees B's code.
    """
    with Misbehaving() as other:
        mixed: list[Page] = []

        def visit(url: str) -> list[Page]:
            there = url.replace(whole.provider.issuer, other.issuer)
            mixed.extend(browse(there))
            return mixed

        whole.visit = visit
        assert whole.fails(timeout=1.0).code == "timed_out"
        assert mixed[-1].status == 400
        assert "/token" not in whole.provider.paths()
        assert "/token" not in other.paths()


def test_s_9_an_attackers_code_under_a_live_state_fails_by_pkce(whole: Whole) -> None:
    theirs: list[str] = []

    def theft(url: str) -> list[Page]:
        theirs.append(dict(parse_qsl(urlsplit(get(url).headers["location"]).query))["code"])
        return []

    whole.visit = theft
    whole.fails(timeout=0.4)  # the attacker's own sign-in: its code is never redeemed

    def inject(url: str) -> list[Page]:
        first = get(url)
        at, _, query = first.headers["location"].partition("?")
        return browse(f"{at}?{urlencode({**dict(parse_qsl(query)), 'code': theirs[0]})}")

    whole.visit = inject
    assert whole.fails().code == "code_expired"
    assert whole.provider.count("/token") == 1
    assert "/userinfo" not in whole.provider.paths()
    assert nothing_kept(whole)


def test_s_9_an_attackers_whole_answer_fails_by_nonce(whole: Whole) -> None:
    whole.provider.become("oidcc-client-test-nonce-invalid")
    assert whole.fails().code == "id_token_invalid"
    assert nothing_kept(whole)


def test_s_22_32_callbacks_at_once_are_one_token_request(whole: Whole) -> None:
    import threading

    def visit(url: str) -> list[Page]:
        real = get(url).headers["location"]
        threads = [threading.Thread(target=lambda: get(real)) for _ in range(32)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return []

    whole.visit = visit
    whole.connect()
    assert whole.provider.count("/token") == 1


def test_s_26_the_launch_url_holds_no_request_where_the_server_takes_it_pushed(whole: Whole) -> None:
    whole.provider.become("S-54")
    view = whole.connect()
    assert set(whole.authorization) == {"client_id", "request_uri"}
    assert view.name == "Alice"  # shown at once, as is the way back:
    attempt_view = whole.engine.accounts.remove("here")
    assert attempt_view.revoked == "yes"
    assert whole.provider.paths()[-1] == "/revoke"
    assert nothing_kept(whole)


def test_s_54_a_request_uri_is_used_once(whole: Whole) -> None:
    whole.provider.become("S-54")
    whole.connect()
    whole.connect()
    used = [
        dict(parse_qsl(urlsplit(each.target).query))["request_uri"]
        for each in whole.provider.requests
        if each.target.startswith("/authorize")
    ]
    assert len(used) == len(set(used)) == 2


def test_s_54_a_failed_push_never_falls_back_to_the_plain_query(whole: Whole) -> None:
    whole.provider.become("S-54 fails")
    assert whole.fails().code == "provider_unavailable"
    assert whole.provider.paths() == [METADATA, "/par"]
    assert "browser" not in whole.stages


def test_s_34_absent_means_as_asked_and_narrower_is_shown(whole: Whole) -> None:
    whole.provider.become("S-34 absent")
    assert whole.connect().narrower_scopes == ()
    whole.provider.become("S-34 narrower")
    attempt = whole.attempt()
    from support.whole_engine import spawn

    whole.engine.sign_in.run(attempt, spawn)
    assert attempt.progress.narrower == ("email", "profile")


# --- DPoP ---------------------------------------------------------------------------------------------------


@pytest.fixture
def bound(tmp_path: Path, provider: Misbehaving) -> Iterator[Whole]:
    made = Whole(tmp_path, provider, top='dpop = "always"')
    yield made
    made.engine.close()


def proofs(provider: Misbehaving, path: str) -> list[dict[str, object]]:
    return [
        json.loads(base64.urlsafe_b64decode(each.headers["dpop"].split(".")[1] + "=="))
        for each in provider.requests
        if each.target.partition("?")[0] == path and "dpop" in each.headers
    ]


def test_s_55_each_proof_is_new_and_names_its_request(bound: Whole) -> None:
    bound.connect()
    assert bound.renew() is None
    token, user = proofs(bound.provider, "/token"), proofs(bound.provider, "/userinfo")
    every = token + user
    assert len({proof["jti"] for proof in every}) == len(every) == 3
    assert [proof["htm"] for proof in every] == ["POST", "POST", "GET"]
    assert {proof["htu"] for proof in token} == {bound.provider.url("/token")}
    access = next(
        iter(each.headers["authorization"] for each in bound.provider.requests if each.target == "/userinfo")
    )
    digest = hashlib.sha256(access.removeprefix("DPoP ").encode()).digest()
    assert user[0]["ath"] == base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def test_s_56_a_nonce_challenge_is_answered_once(bound: Whole) -> None:
    bound.provider.become("S-56 once")
    bound.connect()
    assert bound.provider.count("/token") == 2
    assert bound.provider.count("/userinfo") == 1  # the nonce is the origin's
    assert bound.renew() is None
    assert bound.provider.count("/token") == 3  # and is remembered


def test_s_56_endless_challenges_end(bound: Whole) -> None:
    bound.provider.become("S-56 endless")
    bound.fails()
    assert bound.provider.count("/token") == 2
    assert nothing_kept(bound)


def test_s_33_bearer_where_dpop_was_asked(bound: Whole, provider: Misbehaving) -> None:
    provider.become("S-33 Bearer")
    assert bound.fails().exit_code == 9
    assert bound.provider.paths()[-1] == "/token"
    assert nothing_kept(bound)


def test_s_57_the_key_is_in_the_vault_before_anything_is_sent(bound: Whole) -> None:
    held: list[set[str]] = []

    def look() -> None:
        held.append(
            {
                json.dumps(dict(unseal_key(bound.entries()[n]).public_jwk))
                for n in bound.entries()
                if n.endswith("/dpop")
            }
        )

    bound.provider.before["/authorize"] = look
    bound.provider.before["/token"] = look
    view = bound.connect()
    used = unseal(bound.entries()[f"{view.key}/a"]).key
    assert used is not None
    assert held
    assert all(json.dumps(dict(used.public_jwk)) in each for each in held)


def test_s_57_a_failed_sign_in_leaves_no_key_behind(bound: Whole) -> None:
    bound.provider.become("oidcc-client-test-invalid-iss")
    bound.fails()
    assert nothing_kept(bound)


def test_s_12_the_port_is_free_after_each_end(whole: Whole) -> None:
    for case, works in (("honest", True), ("S-4 rejects", False)):
        whole.provider.become(case)
        ports: list[int] = []

        def visit(url: str, ports: list[int] = ports) -> list[Page]:
            first = get(url)
            ports.append(urlsplit(first.headers["location"]).port or 0)
            return browse(first.headers["location"])

        whole.visit = visit
        assert bool(whole.connect()) if works else whole.fails()
        profile = RedirectProfile(port="fixed", ports=(ports[0],))
        whole.engine.listeners.bind(profile, setting_port=0).close()
