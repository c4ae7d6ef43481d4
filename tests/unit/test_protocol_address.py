"""Addresses judged before use (S-1)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob.core.errors import SettingWrong
from keyfob.protocol.http.urls import fault_of, leads_inside, safe, with_query


@pytest.mark.parametrize(
    "url",
    [
        "https://id.example/authorize",
        "https://id.example:8443/a?b=c&d=%20",
        "http://127.0.0.1:9/authorize",
        "http://localhost:9/",
        "http://[::1]:9/x",
        "https://[2001:db8::1]/x",
        "https://under_score.example/x",
    ],
)
def test_a_fit_address(url: str) -> None:
    assert safe(url, "The endpoint") == url


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "javascript:alert(1)",
        "http://id.example/authorize",
        "http://127.0.0.1.example/x",
        "http://0.0.0.0/x",
        "http://demo.localhost/x",
        "--incognito",
        "-https://id.example",
        "https://id.example/$(reboot)`id`",
        "https://id.example/a b",
        "https://id.example/\nHost: evil",
        'https://id.example/"--flag',
        "https://id.example/\\evil",
        "https://user@evil.example/",
        "https://id.example@evil.example/",
        "https:///no-host",
        "https://",
        "https://id.example:0/",
        "https://id.example:99999/",
        "https://[::1/x",
        "https://-rf.example/",
        "https://id.example/\u202egnp.exe",
        "https://іd.example/",
        "https://id.example/" + "a" * 3000,
        "HTTPS//id.example",
        "",
    ],
)
def test_s1_an_unfit_address_is_refused(url: str) -> None:
    with pytest.raises(SettingWrong) as refused:
        safe(url, "The endpoint")
    assert refused.value.code == "endpoint_unsafe"


def test_no_address_at_all() -> None:
    with pytest.raises(SettingWrong) as refused:
        safe(None, "The endpoint")
    assert refused.value.code == "preset_faulty"
    assert fault_of(7) == "it is not an address"


def test_s1_the_address_is_told_in_the_detail_alone_and_plain() -> None:
    with pytest.raises(SettingWrong) as refused:
        safe("https://x/\x1b[31m", "The endpoint")
    assert "\x1b" not in refused.value.detail
    assert "\x1b" not in refused.value.message


@given(st.text(max_size=60))
def test_s1_no_text_is_both_fit_and_dangerous(text: str) -> None:
    if fault_of(text) is None:
        assert text.startswith(("https://", "http://"))
        assert not set(text) & set(' \t\r\n"<>\\^`{|}')
        assert text.isascii()


def test_s84_only_a_server_that_is_inside_names_its_neighbours() -> None:
    assert leads_inside("http://127.0.0.1:2375/x", "https://id.example")
    assert not leads_inside("http://127.0.0.1:2375/x", "http://localhost:80")
    assert not leads_inside("http://127.0.0.1:2375/x", None)
    assert not leads_inside("https://id.example", "https://id.example")


def test_no_parameter_goes_out_twice() -> None:
    assert (
        with_query("https://x.example/a?keep=1&state=old#f", {"state": "new"})
        == "https://x.example/a?keep=1&state=new"
    )
