"""What a grant covers, which account an address is for, and which headers pass."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from keyfob.core.errors import Usage
from keyfob.gateway.auth.result import AuthResult
from keyfob.gateway.grants import Grant, checked_methods, checked_paths, checked_who, fitting, is_operator
from keyfob.gateway.proxy.headers import to_caller, to_provider
from keyfob.gateway.proxy.routes import NotRoutableError, route_of

NOW = datetime(2026, 11, 28, tzinfo=UTC)
ALICE = AuthResult(True, user_id="alice", tenant_id="acme", key_id="k1")


def a_grant(**words: object) -> Grant:
    return Grant("g1", "github/you", **{"who": "user:alice", "name": "bot", **words})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("pattern", "path", "covers"),
    [
        ("/user", "/user", True),
        ("/user", "/user/", False),
        ("/user", "/users", False),
        ("/repos/**", "/repos", True),
        ("/repos/**", "/repos/a/b", True),
        ("/repos/**", "/repos2", False),
        ("/repos/*", "/repos/a", True),
        ("/repos/*", "/repos/a/b", False),
        ("/repos/*/issues", "/repos/a/issues", True),
        ("/repos/acme/**", "/repos/%61cme/x", True),
        ("/a.b", "/aXb", False),
        ("/**", "/anything/at/all", True),
    ],
)
def test_s63_paths(pattern: str, path: str, covers: bool) -> None:
    assert a_grant(paths=(pattern,)).covers("GET", path) is covers


def test_s63_methods() -> None:
    grant = a_grant(methods=checked_methods(["read"]))
    assert [grant.covers(method, "/") for method in ("GET", "HEAD", "POST", "DELETE", "get")] == [
        True, True, False, False, False
    ]  # fmt: skip
    assert a_grant().covers("DELETE", "/")


@pytest.mark.parametrize(
    ("who", "is_for"),
    [
        ("user:alice", True),
        ("user:bob", False),
        ("tenant:acme", True),
        ("tenant:rival", False),
        ("key:k1", True),
        ("key:k2", False),
        ("anyone", True),
        ("user:", False),
        ("nonsense", False),
    ],
)
def test_who(who: str, is_for: bool) -> None:
    tenant = ALICE.tenant_id if who.startswith("user:") else None
    assert a_grant(who=who, tenant_id=tenant).is_for(ALICE) is is_for


def test_a_name_counts_in_its_tenant_alone() -> None:
    """An administrator of a tenant may name a user as somebody outside is named."""
    operators = AuthResult(True, user_id="alice")
    assert not a_grant(who="user:alice").is_for(ALICE)
    assert a_grant(who="user:alice").is_for(operators)
    assert not a_grant(who="user:alice", tenant_id="acme").is_for(operators)


def test_nobody_is_matched_by_a_missing_name() -> None:
    nobody = AuthResult(True)
    assert not any(a_grant(who=who).is_for(nobody) for who in ("user:", "tenant:", "key:", "user:None"))


def test_a_tenants_grant_is_for_nobody_outside() -> None:
    assert not a_grant(who="anyone", tenant_id="rival").is_for(ALICE)
    assert a_grant(who="anyone", tenant_id="acme").is_for(ALICE)


def test_a_tenants_account_is_for_nobody_outside() -> None:
    assert not a_grant(who="anyone", account_tenant="rival").is_for(ALICE)
    assert a_grant(who="anyone", account_tenant="acme").is_for(ALICE)
    assert not a_grant(who="anyone", account_tenant="acme").is_for(AuthResult(True, user_id="root"))


def test_of_two_accounts_of_one_name_the_tenants_own_is_meant() -> None:
    servers, own = a_grant(who="anyone"), a_grant(who="anyone", account_tenant="acme")
    assert fitting([servers, own], ALICE, "github/you", NOW) == [own]
    assert fitting([servers, own], AuthResult(True, tenant_id="rival"), "github/you", NOW) == [servers]


def test_ended_grants_and_other_accounts() -> None:
    ended = a_grant(who="anyone", ended_at=NOW - timedelta(1))
    over = a_grant(who="anyone", until=NOW)
    still = a_grant(who="anyone", until=NOW + timedelta(seconds=1))
    assert fitting([ended, over, still], ALICE, "github/you", NOW) == [still]
    assert fitting([still], ALICE, "github/other", NOW) == []


def test_operators() -> None:
    assert is_operator(AuthResult(True))
    assert is_operator(AuthResult(True, user_id="root", is_admin=True))
    assert not is_operator(AuthResult(True, user_id="alice", tenant_id="acme", is_admin=True))
    assert not is_operator(ALICE)
    assert not is_operator(AuthResult(False))


def test_wrong_words() -> None:
    for words in (["FETCH"], ["CONNECT"]):
        with pytest.raises(Usage):
            checked_methods(words)
    for path in ("repos", "//x", "/a/../b", "/" + "x" * 1000):
        with pytest.raises(Usage):
            checked_paths([path])
    for who in ("", "alice", "user:", "anyone:x", "group:x"):
        with pytest.raises(Usage):
            checked_who(who)


def test_routes() -> None:
    assert route_of("/github/you/user?a=%20&b=/x?y")[:3] == ("github/you", "/user", "a=%20&b=/x?y")
    assert route_of("/github/you")[:3] == ("github/you", "", "")
    assert route_of("/github/you/")[:3] == ("github/you", "/", "")
    assert route_of("/bluesky/al%40example.org/xrpc/a.b")[:3] == ("bluesky/al@example.org", "/xrpc/a.b", "")
    assert route_of("/bluesky/al%40example.org/x").prefix == "/bluesky/al@example.org"


def test_a_route_to_another_host_of_the_account() -> None:
    found = route_of("/github@GitHub.com:8443/al%20x/acme/app.git?service=a")
    assert found == ("github/al x", "/acme/app.git", "service=a", "github.com:8443", None)
    assert found.prefix == "/github@github.com:8443/al%20x"
    assert route_of("/github%40github.com/a/b").host == "github.com"


@pytest.mark.parametrize(
    "host", ["a%2fb", "a@b", "a%00", "a:b", "a:123456", "a%20b", "https:%2f%2fa", "[a", "a?b"]
)
def test_s72_what_is_not_a_host_is_refused(host: str) -> None:
    with pytest.raises(NotRoutableError):
        route_of(f"/github@{host}/you/x".replace("?b", "%3fb"))


def test_s63_a_grant_with_paths_holds_for_another_host_only_if_it_names_it() -> None:
    api = a_grant(paths=("/**",))
    other = a_grant(paths=checked_paths(["https://github.com/acme/**"]))
    assert api.covers("GET", "/acme/app")
    assert not api.covers("GET", "/acme/app", "github.com")
    assert other.covers("GET", "/acme/app", "github.com")
    assert not other.covers("GET", "/acme/app")
    assert not other.covers("GET", "/acme2", "github.com")
    assert not other.covers("GET", "/acme/app", "github.com.evil.example")
    assert not other.covers("GET", "/https://github.com/acme/app")
    assert a_grant().covers("GET", "/acme/app", "github.com"), "all that the account may do"
    for wrong in ("https://github.com", "http://github.com/a", "https://a@b/c", "https:///a"):
        with pytest.raises(Usage):
            checked_paths([wrong])


@pytest.mark.parametrize(
    "target",
    [
        "", "/", "/github", "/github/", "//github/you/x", "/github//you", "/github/you/../bob/x",
        "/github/%2e%2e/x", "/github/you%2fx/y", "/a/b/%5c", "/a/b/x\\y", "/a/b/\x00", "/a/b/é", "/a/b/x y",
        "/a/b/%2",
        "http://evil/a/b/c", "/a/b/c#d", "/a/b/" + "x" * 8000, "/../a/b", "/a/./b/c", "/a/b/..", "/a/b/.",
    ],
)  # fmt: skip
def test_s53_targets_that_are_refused(target: str) -> None:
    with pytest.raises(NotRoutableError):
        route_of(target)


def test_headers() -> None:
    sent = [
        ("Accept", "*/*"), ("Authorization", "Bearer sk"), ("Cookie", "a=b"), ("Connection", "close, X-Hop"),
        ("X-Hop", "1"), ("x-api-key", "sk"), ("X-Forwarded-For", "1"), ("Host", "here"), ("TE", "trailers"),
        ("X-Keyfob-Subject", "root"), ("Anthropic-Version", "2023-06-01"), ("X-Own", "theirs"),
    ]  # fmt: skip
    assert to_provider(sent, ["X-OWN"]) == [("Accept", "*/*"), ("Anthropic-Version", "2023-06-01")]
    got = [("Content-Type", "text/plain"), ("Set-Cookie", "a=b"), ("Alt-Svc", "h3"), ("X-Hop", "1")]
    got += [("Transfer-Encoding", "chunked"), ("Connection", "X-Hop"), ("X-RateLimit-Remaining", "7")]
    assert [name for name, _ in to_caller(got)] == ["Content-Type", "X-RateLimit-Remaining"]
