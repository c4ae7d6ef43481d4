"""Which hosts are this computer, in every form that a host can be
written in; and everybody who asks agrees.
"""

from __future__ import annotations

import pytest

from keyfob.adapters.system import browser
from keyfob.core.errors import SettingWrong
from keyfob.core.hosts import (
    is_disguised,
    is_inside,
    is_listed,
    is_loopback,
    may_be_plain,
    plain_host,
    site,
    suffix_fault,
)
from keyfob.desktop.connect import forms
from keyfob.protocol.http.urls import fault_of
from keyfob.providers.values import url_fault
from keyfob.tools import hosts

# host, is_loopback, is_inside
HOSTS = [
    ("localhost", True, True),
    ("LOCALHOST", True, True),
    ("localhost.", False, True),
    ("foo.localhost", False, True),
    ("foo.localhost.", False, True),
    ("127.0.0.1", True, True),
    ("127.1.2.3", True, True),
    ("127.255.255.255", True, True),
    ("127.0.0.1.", False, True),
    ("127.1", False, True),
    ("2130706433", False, True),
    ("0x7f000001", False, True),
    ("0X7F.1", False, True),
    ("017700000001", False, True),
    ("127.0.0.01", False, True),
    ("::1", True, True),
    ("[::1]", True, True),
    ("::ffff:127.0.0.1", True, True),
    ("[::ffff:7f00:1]", True, True),
    ("0.0.0.0", False, True),
    ("::", False, True),
    ("10.0.0.1", False, True),
    ("192.168.1.1", False, True),
    ("172.16.0.1", False, True),
    ("169.254.169.254", False, True),
    ("100.64.0.1", False, True),
    ("fe80::1", False, True),
    ("fd00::1", False, True),
    ("::ffff:10.0.0.1", False, True),
    ("128.0.0.1", False, False),
    ("1.1.1.1", False, False),
    ("1.1.1.1.", False, False),
    ("2606:4700::1111", False, False),
    ("::ffff:1.1.1.1", False, False),
    ("localhost.example", False, False),
    ("notlocalhost", False, False),
    ("127.0.0.1.example", False, False),
    ("[localhost]", False, False),
    ("router.example", False, False),
    ("", False, False),
    (None, False, False),
]


@pytest.mark.parametrize(("host", "loopback", "inside"), HOSTS)
def test_s84_what_is_this_computer_and_its_network(host: str | None, loopback: bool, inside: bool) -> None:
    assert is_loopback(host) is loopback
    assert is_inside(host) is inside


@pytest.mark.parametrize(
    ("host", "loopback", "inside"), [row for row in HOSTS if row[0] and row[0] != "[localhost]"]
)
def test_plain_http_goes_to_the_same_hosts_everywhere(host: str, loopback: bool, inside: bool) -> None:
    shown = f"[{host}]" if ":" in host and not host.startswith("[") else host
    url = f"http://{shown}:8080/x"
    assert (fault_of(url) is None) is loopback
    assert (url_fault(url) is None) is loopback
    assert (forms.web_page(url) == url) is loopback
    assert hosts.is_safe("http", f"{shown}:8080") is loopback
    if loopback:
        browser.check_address(url)
    else:
        with pytest.raises(SettingWrong):
            browser.check_address(url)


@pytest.mark.parametrize(
    ("host", "disguised"),
    [
        ("127.1", True),
        ("2130706433", True),
        ("0x7f000001", True),
        ("127.0.0.1", False),
        ("a1.example", False),
    ],
)
def test_an_address_in_disguise(host: str, disguised: bool) -> None:
    assert is_disguised(host) is disguised


@pytest.mark.parametrize(
    ("host", "listed"),
    [
        ("gmail.googleapis.com", True),
        ("GMAIL.googleapis.com", True),
        ("eu.storage.googleapis.com", True),
        ("api.example.org", True),
        ("api.example.org:8443", False),
        ("googleapis.com", False),
        (".googleapis.com", False),
        ("evilgoogleapis.com", False),
        ("evil.example/.googleapis.com", False),
        ("gmail.googleapis.com.evil.example", False),
        ("gmail.googleapis.com:8443", False),
        ("gmail.googleapis.com.", False),
        ("user@gmail.googleapis.com", False),
        ("evil..googleapis.com", False),
        ("*.googleapis.com", False),
        ("", False),
    ],
)
def test_s64_an_entry_for_all_hosts_below_a_name_holds_for_whole_labels(host: str, listed: bool) -> None:
    assert is_listed(host, ("*.googleapis.com", "api.example.org")) is listed


@pytest.mark.parametrize(
    ("entry", "fits"),
    [
        ("*.googleapis.com", True),
        ("*.my.salesforce.com", True),
        ("*.example.co.uk", True),
        ("*.com", False),
        ("*.localhost", False),
        ("*.co.uk", False),
        ("*.com.au", False),
        ("*.", False),
        ("*.*.com", False),
        ("*.Example.com", False),
        ("*.example.com:443", False),
        ("*.example.com/x", False),
        ("*.{tenant}.com", False),
        ("*.0.0.1", False),
    ],
)
def test_s64_an_entry_names_what_only_its_owner_can_extend(entry: str, fits: bool) -> None:
    assert (suffix_fault(entry) is None) is fits


PLAIN = [
    ("homeassistant.local", True), ("Jellyfin.LOCAL", True), ("nas", True), ("192.168.1.5", True),
    ("10.0.0.1", True), ("172.16.0.1", True), ("169.254.1.1", True), ("[fe80::1]", True), ("fd00::1", True),
    ("localhost", False), ("127.0.0.1", False), ("::1", False), ("0.0.0.0", False), ("::", False),
    ("example.org", False), ("local", True), (".local", False), ("evil.local.example", False),
    ("1.1.1.1", False), ("100.64.0.1", False), ("192.0.2.1", False), ("224.0.0.1", False),
    ("2130706433", False), ("0x7f000001", False), ("127.1", False), ("na s", False), ("", False),
    ("::ffff:192.168.1.5", True), ("::ffff:1.1.1.1", False), ("homeassistant.local.", False),
]  # fmt: skip


@pytest.mark.parametrize(("host", "may"), PLAIN)
def test_s86_only_a_host_of_the_own_network_can_do_without_tls(host: str, may: bool) -> None:
    assert may_be_plain(host) is may
    shown = f"[{host}]" if ":" in host and not host.startswith("[") else host
    allowed = f"{shown}:8123".lower()
    url = f"http://{shown}:8123/x"
    if is_loopback(host):
        return
    assert (fault_of(url, plain_host=allowed) is None) is may
    assert (plain_host(url) == allowed) is may
    if may:
        browser.check_address(url, allowed)
    for other in ("nas:8124", "nas", "other.local:8123", None):
        assert fault_of(url, plain_host=other) is not None
        with pytest.raises(SettingWrong):
            browser.check_address(url, other)


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("homeassistant.local:8123", "homeassistant.local:8123"),
        ("http://NAS/path", "nas"),
        ("https://nas", None),
        ("http://me@nas", None),
        ("nas:x", None),
        ("http://example.org", None),
    ],
)
def test_a_host_without_tls_is_written_in_many_ways(text: str, host: str | None) -> None:
    assert plain_host(text) == host


@pytest.mark.parametrize(
    ("host", "found"),
    [
        ("mcp.shop.example.com", "example.com"),
        ("example.com.", "example.com"),
        ("A.Example.CO.uk", "example.co.uk"),
        ("other.co.uk", "other.co.uk"),
        ("example.uk", "example.uk"),
        ("localhost", "localhost"),
        ("uk", "uk"),
        ("127.0.0.1", "127.0.0.1"),
        ("::1", "::1"),
    ],
)
def test_the_site_of_a_host(host: str, found: str) -> None:
    assert site(host) == found
