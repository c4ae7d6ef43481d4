"""Access as bundles of scopes: what is asked for, and what a grant allows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from keyfob.core.access import (
    GrantedAccess,
    bundle,
    default_access,
    granted,
    missing,
    refused,
    scopes_for,
    with_implied,
)
from keyfob.core.methods import Method
from keyfob.core.provider import Access, Provider
from keyfob.core.resources import resources
from keyfob.providers.catalogue import Catalogue
from keyfob.service.accounts.views import Progress, SignInRequest
from keyfob.service.sign_in.attempt import Attempt
from keyfob.service.sign_in.prepared import PreparedSignIn
from support.records import a_record

CATALOGUE = Catalogue(resources() / "providers")
PROVIDER = Provider(
    "demo",
    "Demo",
    scopes=("who", "offline"),
    access=(
        Access("repo", "Repositories", ("repo",), default=True),
        Access("read-packages", "Read packages", ("pkg:read",)),
        Access("packages", "Packages", ("pkg:read", "pkg:write")),
    ),
    implied_scopes={"all": "repo pkg:write", "pkg:write": "pkg:read", "pkg:read": "pkg:write"},
)
HAD = a_record()


def asked(
    request: SignInRequest, *, had: tuple[str, ...] | None = None, method: Method = "oauth"
) -> tuple[str, ...]:
    """What this request's sign-in asks for; `had`: what the account that signs in again asked for before."""
    record = None if had is None else replace(HAD, account=replace(HAD.account, asked_scopes=had))
    attempt = Attempt("id", request, Progress("preparing", "demo", "Demo", "oauth"))
    return PreparedSignIn(attempt, PROVIDER, method, "key-1", {}, record, lambda work, name: None).scopes


@pytest.mark.parametrize(
    ("given", "scopes"),
    [
        ({}, ("who", "offline", "repo")),
        ({"access": ()}, ("who", "offline")),
        ({"access": ("packages",)}, ("who", "offline", "pkg:read", "pkg:write")),
        ({"access": ("repo", "packages")}, ("who", "offline", "repo", "pkg:read", "pkg:write")),
        ({"scopes": ("x", "who")}, ("who", "offline", "repo", "x")),
        ({"access": ("packages",), "scopes": ("x",)}, ("who", "offline", "pkg:read", "pkg:write", "x")),
        ({"only_scopes": ("x", "y")}, ("x", "y")),
    ],
)
def test_a_new_account_asks_for_the_base_and_what_was_chosen(
    given: dict[str, tuple[str, ...]], scopes: tuple[str, ...]
) -> None:
    assert asked(SignInRequest("demo", **given)) == scopes  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("given", "scopes"),
    [
        ({}, ("offline", "old")),
        ({"access": ("read-packages",)}, ("who", "offline", "old", "pkg:read")),
        ({"scopes": ("x",)}, ("who", "offline", "old", "x")),
        ({"only_scopes": ("x",)}, ("x",)),
    ],
)
def test_an_account_that_signs_in_again_asks_for_the_union(
    given: dict[str, tuple[str, ...]], scopes: tuple[str, ...]
) -> None:
    assert asked(SignInRequest("demo", **given), had=("offline", "old")) == scopes  # type: ignore[arg-type]


def test_another_method_starts_from_the_preset() -> None:
    assert asked(SignInRequest("demo"), had=("old",), method="device") == ("who", "offline", "repo")


def test_what_was_granted_is_told_by_bundle() -> None:
    assert granted(PROVIDER, ["who"]) == ()
    assert granted(PROVIDER, ["repo", "who"]) == (GrantedAccess("repo", "Repositories"),)
    assert [each.id for each in granted(PROVIDER, ["all"])] == ["repo", "read-packages", "packages"]
    assert [each.id for each in granted(PROVIDER, ["pkg:read"])] == ["read-packages", "packages"], "no circle"
    assert missing(PROVIDER, ["who", "repo", "pkg:read"], ["all"]) == ("who",)
    assert with_implied(PROVIDER, []) == frozenset()
    assert default_access(PROVIDER) == ("repo",)
    assert scopes_for(PROVIDER, ["unknown"], base=("a", "a")) == ("a",)


def test_a_provider_s_own_words_for_what_was_granted_are_understood() -> None:
    github = CATALOGUE.get("github")
    # GitHub leaves out what another scope contains, and Google answers in addresses.
    assert [each.id for each in granted(github, ["write:packages", "repo", "read:user"])] == [
        "repo", "packages", "publish-packages",
    ]  # fmt: skip
    google = CATALOGUE.get("google")
    told = ["openid", *(f"https://www.googleapis.com/auth/userinfo.{word}" for word in ("email", "profile"))]
    assert missing(google, google.scopes, told) == ()


@pytest.mark.parametrize(
    "provider", [each for each in CATALOGUE.all() if each.access], ids=lambda each: each.id
)
def test_bundles_are_in_a_person_s_words(provider: Provider) -> None:
    for each in provider.access:
        assert each.title[0].isupper()
        assert not each.title.endswith(".")
        assert not any(":" in word or "_" in word for word in each.title.split()), "a title is no scope"
    assert not any(each.default and each.risky for each in provider.access)


def test_a_bundle_that_was_asked_for_and_given_in_part_is_refused() -> None:
    provider = Provider(
        "p",
        "P",
        access=(Access("mail", "Mail", ("mail.read", "mail.send")), Access("files", "Files", ("files",))),
    )
    found = refused(provider, ("mail.read", "mail.send"), ("mail.read",))
    assert [(each.id, each.title) for each in found] == [("mail", "Mail")]
    assert refused(provider, ("mail.read", "files"), ("files",)) == (), "the bundle was not asked for whole"
    assert refused(provider, ("files",), ("files",)) == ()


def test_a_bundle_by_its_name_and_as_json() -> None:
    found = bundle(PROVIDER, "packages")
    assert found is not None
    assert found.title == "Packages"
    assert bundle(PROVIDER, "nothing") is None
    given = GrantedAccess("packages", "Packages", found.scopes)
    assert given.to_json() == {"id": "packages", "title": "Packages"}
    assert GrantedAccess.from_json(given.to_json()) == given
