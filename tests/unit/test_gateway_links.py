"""Package registries' lists through the gateway: which links change, and which hosts get a token at all."""

from __future__ import annotations

import base64

import pytest

from keyfob.core.errors import SettingWrong
from keyfob.core.secret import Secret
from keyfob.gateway.proxy.links import Links, are_wanted
from keyfob.gateway.proxy.other_hosts import authorization, url_at
from keyfob.service.accounts.signer import Place

PAGE = (
    b'<a href="https://h.example/api/v4/files/a-1.whl#sha256=0">a</a><a href="/api/v4/files/b.whl">b</a>'
    b'<a href="//other.example/c.whl">c</a><a href="https://h.example.evil/api/v4/d">d</a>'
    b'{"url":"/api/v4/e", "url": "https://h.example/api/v4/f", "tarball":"https://h.example/api/v4/g"}'
)
OWN = b"http://127.0.0.1:2026/gitlab/me/"
WANTED = (
    PAGE.replace(b"https://h.example/api/v4/", OWN)
    .replace(b'href="/api/v4/', b'href="' + OWN)
    .replace(b'"url":"/api/v4/', b'"url":"' + OWN)
)


@pytest.mark.parametrize("size", [1, 2, 7, 64, 10_000])
def test_links_change_however_the_text_comes(size: int) -> None:
    links = Links("https://h.example/api/v4", "http://127.0.0.1:2026/gitlab/me")
    parts = [links.feed(PAGE[at : at + size]) for at in range(0, len(PAGE), size)]
    assert b"".join(parts) + links.end() == WANTED


def test_links_from_the_root_of_a_host() -> None:
    links = Links("https://h.example", "http://g/x@h.example/me")
    text = links.feed(b'<a href="/a">a</a><a href="//b/c">') + links.end()
    assert text == b'<a href="http://g/x@h.example/me/a">a</a><a href="//b/c">'


def test_only_lists_of_registries() -> None:
    assert are_wanted({"Accept": "application/vnd.pypi.simple.v1+json, text/html;q=0.01"})
    assert are_wanted({"Accept": "application/vnd.npm.install-v1+json; q=1.0, application/json; q=0.8, */*"})
    assert are_wanted({"Accept": "application/json", "Pacote-Req-Type": "packument"})
    for other in ({"Accept": "application/json"}, {"Accept": "*/*"}, {"Pacote-Req-Type": "tarball"}, {}):
        assert not are_wanted(other)


def place(provider: str, *hosts: str, method: str = "oauth") -> Place:
    return Place(provider, "me", method, hosts)  # type: ignore[arg-type]


def test_s72_a_token_goes_to_the_hosts_of_its_account_alone() -> None:
    github = place("github", "github.com", "api.github.com")
    assert url_at(github, "gist.github.com", "/a") == "https://gist.github.com/a"
    assert url_at(github, "npm.pkg.github.com", "") == "https://npm.pkg.github.com/"
    assert url_at(place("work", "127.0.0.1:80"), "127.0.0.1:80", "/a") == "http://127.0.0.1:80/a"
    for account, host in (
        (github, "evil.example"),
        (github, "github.com:8080"),
        (place("work"), "github.com"),
    ):
        with pytest.raises(SettingWrong):
            url_at(account, host, "/")


def test_the_form_is_that_of_the_tool() -> None:
    token = Secret("the-token")
    assert authorization(place("github"), token, basic=False) == "Bearer the-token"
    for account, name in (
        (place("github"), "x-access-token"),
        (place("bitbucket", method="api_key"), "x-bitbucket-api-token-auth"),
        (place("work"), "me"),
    ):
        sent = authorization(account, token, basic=True).removeprefix("Basic ")
        assert base64.b64decode(sent).decode() == f"{name}:the-token"
