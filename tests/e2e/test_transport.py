"""The transport against real sockets: TLS (S-27), networks (S-28),
redirects (S-29), hostile bodies (S-30).
"""

from __future__ import annotations

import gc
import gzip
import logging
import os
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time
import warnings
import zlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from keyfob import __version__
from keyfob.adapters.network.transport import HttpTransport
from keyfob.core.errors import SettingWrong, Transient
from keyfob.core.http import Request
from support.certificates import Authority
from support.hostile import (
    RawServer,
    Talk,
    UnsavedGrant,
    answer,
    big_body,
    big_chunked,
    connect_proxy,
    cut_off,
    drip_body,
    drip_headers,
    endless_informational,
    gzip_bomb,
    hang_up,
    raw,
    redirect,
    silence,
)

pytestmark = pytest.mark.network

AT = datetime(2026, 11, 20, 18, 0, tzinfo=UTC)
SHORT = 0.8  # s
GRACE = 2.0  # s beyond a deadline that a busy machine may take
CANARY = "canary-5a1f-never-shown"
NETWORK_VARIABLES = (
    "http_proxy",
    "https_proxy",
    "all_proxy",
    "no_proxy",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "SSLKEYLOGFILE",
    "NETRC",
)


@pytest.fixture(autouse=True)
def plain_network(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NETWORK_VARIABLES:
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def transport() -> HttpTransport:
    return HttpTransport(lambda: AT, deadline=10)


@pytest.fixture
def hasty() -> HttpTransport:
    return HttpTransport(lambda: AT, deadline=SHORT)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def token_request(url: str) -> Request:
    return Request(
        "POST",
        url,
        "refresh",
        {"Authorization": f"Basic {CANARY}", "Content-Type": "application/x-www-form-urlencoded"},
        f"refresh_token={CANARY}".encode(),
    )


def shows_no_secret(error: BaseException) -> bool:
    """Neither the error nor anything that hangs on it, as a traceback or a debugger would show it."""
    seen: list[str] = []
    link: BaseException | None = error
    while link is not None:
        seen += [str(link), repr(link), repr(getattr(link, "request", None)), repr(vars(link))]
        link = link.__cause__ or link.__context__
    return CANARY not in " ".join(seen)


def peak() -> int:
    """The most memory this process has held, in bytes."""
    [line] = [each for each in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in each]
    return int(line.split()[1]) * 1024


def peak_from_now() -> int:
    """Forget earlier peaks (of other tests), so that the next one is this test's."""
    Path("/proc/self/clear_refs").write_text("5")
    return peak()


# --- what an honest exchange looks like ---------------------------------------------------------------------


def test_a_request_arrives_as_it_was_made_and_the_answer_comes_back_whole(transport: HttpTransport) -> None:
    with RawServer(answer(201, b'{"a":1}', {"X-One": "yes", "DPoP-Nonce": "n"})) as server:
        response = transport.send(token_request(server.url("/token?x=a%20b")))
    assert (response.status, response.body, response.at) == (201, b'{"a":1}', AT)
    assert response.headers["x-one"] == "yes"
    assert response.headers["dpop-nonce"] == "n"
    assert response.url == server.url("/token?x=a%20b")
    [request] = server.requests
    assert (request.method, request.target) == ("POST", "/token?x=a%20b")
    assert request.body == f"refresh_token={CANARY}".encode()
    assert request.headers["authorization"] == f"Basic {CANARY}"


def test_the_user_agent_is_ours_unless_the_request_has_its_own(transport: HttpTransport) -> None:
    with RawServer(answer()) as server:
        transport.send(Request("GET", server.url(), "api"))
        transport.send(Request("GET", server.url(), "api", {"User-Agent": "Odd/1"}))
    assert [r.headers["user-agent"] for r in server.requests] == [f"Keyfob/{__version__}", "Odd/1"]


def test_every_exchange_has_a_connection_of_its_own(transport: HttpTransport) -> None:
    """A refresh token is never written to a kept connection that may have died unseen."""
    with RawServer(answer()) as server:
        for _ in range(3):
            transport.send(token_request(server.url()))
    assert server.connections == 3
    assert {r.headers["connection"] for r in server.requests} == {"close"}


def test_no_cookie_is_kept(transport: HttpTransport) -> None:
    with RawServer(answer(200, b"{}", {"Set-Cookie": "session=1; Path=/"})) as server:
        first = transport.send(Request("GET", server.url(), "api"))
        transport.send(Request("GET", server.url(), "api"))
    assert first.headers["set-cookie"] == "session=1; Path=/"
    assert "cookie" not in server.requests[1].headers


def test_many_threads_share_one_transport(transport: HttpTransport) -> None:
    seen: list[bytes] = []
    with RawServer(lambda talk: answer(200, talk.request.target.encode())(talk)) as server:

        def ask(number: int) -> None:
            seen.append(transport.send(Request("GET", server.url(f"/{number}"), "api")).body)

        threads = [threading.Thread(target=ask, args=(n,)) for n in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert sorted(seen) == sorted(f"/{n}".encode() for n in range(16))


def test_localhost_and_ipv6_loopback_are_spoken_to_in_plain_http(transport: HttpTransport) -> None:
    with RawServer(answer()) as server:
        assert transport.send(Request("GET", server.url(host="localhost"), "api")).status == 200
    with RawServer(answer(), host="::1") as server:
        assert transport.send(Request("GET", server.url(), "api")).status == 200


def test_making_a_transport_loads_no_http_library() -> None:
    code = (
        "import sys; from keyfob.adapters.network.transport import HttpTransport; HttpTransport(lambda: "
        "None);print([m for m in ('httpx', 'httpcore', 'ssl') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_nothing_of_a_request_is_logged(transport: HttpTransport, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with RawServer(answer()) as server:
        transport.send(token_request(server.url(f"/?code={CANARY}")))
    assert CANARY not in caplog.text


# --- S-27: TLS ----------------------------------------------------------------------------------------------


def test_s27_a_certificate_of_a_known_authority_is_accepted_through_ssl_cert_file(
    transport: HttpTransport, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """S-28: SSL_CERT_FILE works."""
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.bundle))
    with RawServer(answer(), tls=authority.server("localhost", "127.0.0.1")) as server:
        assert transport.send(token_request(server.url(host="localhost"))).status == 200
        assert transport.send(token_request(server.url())).status == 200


def test_s28_ssl_cert_dir_works(
    transport: HttpTransport, authority: Authority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from cryptography import x509

    out = subprocess.run(
        ["openssl", "x509", "-hash", "-noout", "-in", str(authority.bundle)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert x509.load_pem_x509_certificate(authority.bundle.read_bytes())
    (tmp_path / f"{out.stdout.strip()}.0").write_bytes(authority.bundle.read_bytes())
    monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path))
    with RawServer(answer(), tls=authority.server("127.0.0.1")) as server:
        assert transport.send(token_request(server.url())).status == 200


@pytest.mark.parametrize("fault", ["self-signed", "expired", "wrong host", "unknown authority"])
def test_s27_a_bad_certificate_is_refused_before_anything_is_sent(
    fault: str,
    transport: HttpTransport,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.bundle))
    # Names that other programs read to turn verification off mean nothing here.
    for name in ("PYTHONHTTPSVERIFY", "NODE_TLS_REJECT_UNAUTHORIZED", "SSL_VERIFY", "CURL_INSECURE"):
        monkeypatch.setenv(name, "0")
    match fault:
        case "self-signed":
            tls = authority.server("127.0.0.1", self_signed=True)
        case "expired":
            tls = authority.server("127.0.0.1", expired=True)
        case "wrong host":
            tls = authority.server("keyfob.test")
        case _:
            tls = Authority(tmp_path, "Stranger").server("127.0.0.1")
    with RawServer(answer(), tls=tls) as server, pytest.raises(SettingWrong) as caught:
        transport.send(token_request(server.url()))
    assert caught.value.code == "tls_untrusted"
    assert server.requests == []
    assert shows_no_secret(caught.value)


def test_s27_tls_older_than_1_2_is_refused(
    transport: HttpTransport, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.bundle))
    old = authority.server("127.0.0.1")
    old.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old.minimum_version = ssl.TLSVersion.TLSv1
        old.maximum_version = ssl.TLSVersion.TLSv1_1
    with RawServer(answer(), tls=old) as server, pytest.raises(SettingWrong) as caught:
        transport.send(token_request(server.url()))
    assert caught.value.code == "tls_untrusted"
    assert server.requests == []


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/token",
        "http://192.0.2.1/token",
        "http://127.0.0.1.example.com/token",
        "http://2130706433/token",
        "http://localhost.example.com/",
        "https://user:pass@127.0.0.1/",
        "ftp://127.0.0.1/",
        "file:///etc/passwd",
        "https://",
        "//127.0.0.1/",
        "https://exa mple.com/",
        "https://[::1",
        "",
    ],
)
def test_s27_only_https_or_loopback_is_spoken_to(url: str, transport: HttpTransport) -> None:
    with pytest.raises(SettingWrong) as caught:
        transport.send(token_request(url))
    assert caught.value.code == "endpoint_unsafe"


def test_s27_localhost_that_leads_elsewhere_gets_nothing(
    transport: HttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = socket.getaddrinfo

    def poisoned(host: str, *args: object, **kwargs: object) -> object:
        return real("192.0.2.1" if host == "localhost" else host, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(socket, "getaddrinfo", poisoned)
    with pytest.raises(Transient) as caught:
        transport.send(token_request("http://localhost:9/"))
    assert (caught.value.code, caught.value.sent) == ("network_unreachable", False)


def test_s25_session_keys_are_not_written_where_sslkeylogfile_asks(
    transport: HttpTransport, authority: Authority, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.bundle))
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    with RawServer(answer(), tls=authority.server("127.0.0.1")) as server:
        assert transport.send(token_request(server.url())).status == 200
    assert not (tmp_path / "keys").exists()


def test_s28_an_ssl_cert_file_that_cannot_be_read_says_so(
    transport: HttpTransport, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "absent.pem"))
    with pytest.raises(SettingWrong, match="SSL_CERT_FILE") as caught:
        transport.send(token_request("https://127.0.0.1:9/"))
    assert caught.value.code == "ca_file_faulty"


# --- S-28: proxies and .netrc -------------------------------------------------------------------------------


def test_s28_the_proxy_is_honoured_with_its_credentials(
    transport: HttpTransport, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.bundle))
    targets: list[UnsavedGrant] = []
    with (
        RawServer(answer(200, b'{"via":1}'), tls=authority.server("login.keyfob.test")) as server,
        RawServer(connect_proxy(("127.0.0.1", server.port), targets)) as proxy,
    ):
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:p%40ss@127.0.0.1:{proxy.port}")
        response = transport.send(token_request("https://login.keyfob.test/token"))
    assert response.body == b'{"via":1}'
    [connect] = targets
    assert (connect.method, connect.target) == ("CONNECT", "login.keyfob.test:443")
    assert connect.headers["proxy-authorization"] == "Basic bWU6cEBzcw=="
    assert CANARY not in str(connect)
    assert "proxy-authorization" not in server.requests[0].headers


def test_s28_an_https_proxy_is_verified_too(
    transport: HttpTransport, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.bundle))
    targets: list[UnsavedGrant] = []
    with (
        RawServer(answer(), tls=authority.server("login.keyfob.test")) as server,
        RawServer(
            connect_proxy(("127.0.0.1", server.port), targets), tls=authority.server("127.0.0.1")
        ) as good,
        RawServer(
            connect_proxy(("127.0.0.1", server.port), targets),
            tls=authority.server("127.0.0.1", self_signed=True),
        ) as bad,
    ):
        monkeypatch.setenv("HTTPS_PROXY", good.url())
        assert transport.send(token_request("https://login.keyfob.test/token")).status == 200
        monkeypatch.setenv("HTTPS_PROXY", bad.url())
        with pytest.raises(SettingWrong) as caught:
            transport.send(token_request("https://login.keyfob.test/token"))
    assert caught.value.code == "tls_untrusted"
    assert bad.requests == []


def test_s28_a_proxy_is_never_asked_for_loopback(
    transport: HttpTransport, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.bundle))
    tls = authority.server("localhost", "127.0.0.1", "127.8.8.8")
    with (
        RawServer(connect_proxy(None, [], 502)) as proxy,
        RawServer(answer()) as plain,
        RawServer(answer(), host="127.8.8.8") as other,
        RawServer(answer(), tls=tls) as safe,
    ):
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url())
        for url in (plain.url(), plain.url(host="localhost"), other.url(), safe.url(host="localhost")):
            assert transport.send(token_request(url)).status == 200
    assert proxy.connections == 0


def test_s28_no_proxy_is_honoured(transport: HttpTransport, monkeypatch: pytest.MonkeyPatch) -> None:
    with RawServer(connect_proxy(None, [], 502)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url())
        monkeypatch.setenv("NO_PROXY", ".keyfob.invalid")
        with pytest.raises(Transient) as caught:
            transport.send(token_request("https://login.keyfob.invalid/"))
    assert caught.value.code == "network_unreachable"
    assert proxy.connections == 0


def test_s28_a_proxy_that_refuses_means_that_nothing_was_sent(
    transport: HttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RawServer(connect_proxy(None, [], 407)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url())
        with pytest.raises(Transient) as caught:
            transport.send(token_request("https://login.keyfob.test/"))
    assert (caught.value.code, caught.value.sent) == ("network_unreachable", False)
    assert "407" in caught.value.message


def test_s28_a_proxy_that_keyfob_does_not_speak_to_is_not_passed_by(
    transport: HttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")
    with pytest.raises(SettingWrong, match="proxy"):
        transport.send(token_request("https://login.keyfob.test/"))


def test_s28_netrc_is_ignored(
    transport: HttpTransport, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    netrc = tmp_path / ".netrc"
    netrc.write_text("machine 127.0.0.1 login thief password swag\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    monkeypatch.setenv("HOME", str(tmp_path))
    with RawServer(answer()) as server:
        transport.send(Request("GET", server.url(), "api"))
    assert "authorization" not in server.requests[0].headers


# --- S-29: redirects ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_s29_a_redirect_is_handed_back_and_its_target_receives_nothing(
    status: int, method: str, transport: HttpTransport
) -> None:
    with RawServer(answer()) as target, RawServer(redirect(status, target.url("/stolen"))) as server:
        response = transport.send(
            Request(method, server.url(), "token", {}, b"x" if method == "POST" else None)
        )
    assert response.status == status
    assert response.headers["location"] == target.url("/stolen")
    assert target.connections == 0
    assert len(server.requests) == 1


# --- S-30: hostile bodies and slow senders ------------------------------------------------------------------


@pytest.mark.parametrize(
    "behaviour",
    [drip_headers(), drip_body(), silence, endless_informational],
    ids=["headers a byte at a time", "body a byte at a time", "silence", "100 Continue for ever"],
)
def test_s30_an_answer_that_never_ends_is_left_at_the_deadline(
    behaviour: object, hasty: HttpTransport
) -> None:
    with RawServer(behaviour) as server:  # type: ignore[arg-type]
        began = time.monotonic()
        with pytest.raises(Transient) as caught:
            hasty.send(token_request(server.url()))
        took = time.monotonic() - began
    assert (caught.value.code, caught.value.sent, caught.value.answered) == ("network_timeout", True, False)
    assert SHORT * 0.9 < took < SHORT + GRACE
    assert len(server.requests) == 1
    assert shows_no_secret(caught.value)


def test_s30_slow_senders_behind_tls_are_left_at_the_deadline(
    hasty: HttpTransport, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.bundle))
    with RawServer(drip_headers(), tls=authority.server("127.0.0.1")) as server:
        began = time.monotonic()
        with pytest.raises(Transient) as caught:
            hasty.send(token_request(server.url()))
    assert caught.value.code == "network_timeout"
    assert time.monotonic() - began < SHORT + GRACE


def test_s30_a_server_that_never_shakes_hands_is_left_with_nothing_sent(hasty: HttpTransport) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        began = time.monotonic()
        with pytest.raises(Transient) as caught:
            hasty.send(token_request(f"https://127.0.0.1:{listener.getsockname()[1]}/"))
    assert (caught.value.code, caught.value.sent) == ("network_timeout", False)
    assert time.monotonic() - began < SHORT + GRACE


def test_s30_a_name_that_never_resolves_is_left_at_the_deadline(
    hasty: HttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = threading.Event()

    def stuck(*_: object, **__: object) -> list[object]:
        released.wait(20)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", stuck)
    began = time.monotonic()
    with pytest.raises(Transient) as caught:
        hasty.send(token_request("https://login.keyfob.test/"))
    took = time.monotonic() - began
    released.set()
    assert (caught.value.code, caught.value.sent) == ("network_timeout", False)
    assert took < SHORT + GRACE


@pytest.mark.parametrize(
    "behaviour",
    [
        big_body(1 << 30, declared=True),
        big_body(1 << 30, declared=False),
        big_chunked(1 << 30),
        gzip_bomb(),
    ],
    ids=["1 GB told", "1 GB untold", "1 GB in chunks", "gzip bomb"],
)
def test_s30_a_body_too_big_is_left_and_costs_little_memory(
    behaviour: object, transport: HttpTransport
) -> None:
    with RawServer(answer()) as server:
        transport.send(token_request(server.url()))
    gc.collect()
    before = peak_from_now()
    with RawServer(behaviour) as server:  # type: ignore[arg-type]
        began = time.monotonic()
        with pytest.raises(Transient) as caught:
            transport.send(token_request(server.url()))
        took = time.monotonic() - began
    more = peak() - before
    assert (caught.value.code, caught.value.sent, caught.value.answered) == (
        "provider_unavailable",
        True,
        False,
    )
    assert took < 5
    assert more <= 10 * 1024 * 1024


def test_s30_a_body_of_just_the_limit_is_read_whole() -> None:
    transport = HttpTransport(lambda: AT, body_most=70_000)
    with RawServer(answer(200, b"x" * 70_000)) as server:
        assert len(transport.send(Request("GET", server.url(), "api")).body) == 70_000
    with RawServer(answer(200, b"x" * 70_001)) as server, pytest.raises(Transient):
        transport.send(Request("GET", server.url(), "api"))


@pytest.mark.parametrize(
    ("encoding", "data"),
    [
        ("gzip", gzip.compress(b'{"a":1}')),
        ("x-gzip", gzip.compress(b'{"a":1}')),
        ("deflate", zlib.compress(b'{"a":1}')),
        ("identity", b'{"a":1}'),
    ],
    ids=["gzip", "x-gzip", "deflate", "identity"],
)
def test_a_server_that_compresses_unasked_is_understood(
    encoding: str, data: bytes, transport: HttpTransport
) -> None:
    with RawServer(answer(200, data, {"Content-Encoding": encoding})) as server:
        assert transport.send(Request("GET", server.url(), "api")).body == b'{"a":1}'
    assert server.requests[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    "behaviour",
    [
        cut_off(),
        hang_up,
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: 5"),
        raw(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"),
        raw(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n"),
        raw(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n12345"),
        raw(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100_000 + b"\r\n"),
        answer(200, gzip.compress(b"{}" * 500)[:-9], {"Content-Encoding": "gzip"}),
        answer(200, b"not gzip", {"Content-Encoding": "gzip"}),
        answer(200, gzip.compress(b"{}") * 2, {"Content-Encoding": "gzip"}),
        answer(200, b"{}", {"Content-Encoding": "br"}),
        answer(200, b"{}", {"Content-Encoding": "gzip, gzip"}),
    ],
    ids=[
        "body cut off",
        "hung up",
        "headers cut off",
        "no HTTP",
        "bad chunk",
        "two lengths",
        "600 KB of headers",
        "gzip cut off",
        "no gzip",
        "two gzips",
        "brotli",
        "gzip twice",
    ],
)
def test_s30_a_broken_answer_counts_as_sent_and_lost_and_nothing_is_sent_again(
    behaviour: object, transport: HttpTransport
) -> None:
    with RawServer(behaviour) as server:  # type: ignore[arg-type]
        with pytest.raises(Transient) as caught:
            transport.send(token_request(server.url()))
        assert server.connections == 1
    assert (caught.value.code, caught.value.sent, caught.value.answered) == (
        "provider_unavailable",
        True,
        False,
    )
    assert shows_no_secret(caught.value)


def test_a_port_where_nobody_listens_means_that_nothing_was_sent(transport: HttpTransport) -> None:
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    with pytest.raises(Transient) as caught:
        transport.send(token_request(f"http://127.0.0.1:{port}/"))
    assert (caught.value.code, caught.value.sent, caught.value.answered) == (
        "network_unreachable",
        False,
        False,
    )


def test_the_next_address_of_a_name_is_tried_where_the_first_is_dead(
    transport: HttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    with RawServer(answer()) as server:
        dead = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", server.port, 0, 0))
        alive = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server.port))
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [dead, alive])
        assert transport.send(token_request(server.url(host="localhost"))).status == 200
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [dead, dead])
        with pytest.raises(Transient) as caught:
            transport.send(token_request(server.url(host="localhost")))
    assert (caught.value.code, caught.value.sent) == ("network_unreachable", False)
    assert server.connections == 1


def test_addresses_that_swallow_everything_end_at_the_deadline(
    hasty: HttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full backlog stands for a network that drops packets: connecting neither works nor fails."""
    with socket.socket() as hole:
        hole.bind(("127.0.0.1", 0))
        hole.listen(0)
        address = hole.getsockname()
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.setblocking(False)
            filler.connect_ex(address)
        entry = (socket.AF_INET, socket.SOCK_STREAM, 6, "", address)
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [entry, entry, entry])
        began = time.monotonic()
        with pytest.raises(Transient) as caught:
            hasty.send(token_request(f"http://localhost:{address[1]}/"))
        took = time.monotonic() - began
        for filler in fillers:
            filler.close()
    assert (caught.value.code, caught.value.sent) == ("network_timeout", False)
    assert SHORT * 0.9 < took < SHORT + GRACE


@pytest.mark.parametrize("words", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_a_server_that_breaks_off_the_handshake_got_nothing(words: bytes, transport: HttpTransport) -> None:
    received: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def break_off() -> None:
            sock, _ = listener.accept()
            with sock:
                received.append(sock.recv(65536))
                sock.sendall(words)

        server = threading.Thread(target=break_off)
        server.start()
        with pytest.raises(Transient) as caught:
            transport.send(token_request(f"https://127.0.0.1:{listener.getsockname()[1]}/"))
        server.join()
    assert (caught.value.code, caught.value.sent) == ("network_unreachable", False)
    assert CANARY.encode() not in received[0]


def test_an_answer_given_while_the_request_is_still_being_written_is_read(
    transport: HttpTransport,
) -> None:
    """A server may refuse early and close; its words count, not the broken pipe."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def refuse() -> None:
            sock, _ = listener.accept()
            with sock:
                sock.recv(100)
                sock.sendall(b"HTTP/1.1 413 Too Big\r\nContent-Length: 2\r\n\r\nno")
                sock.shutdown(socket.SHUT_WR)
                while sock.recv(65536):
                    pass

        server = threading.Thread(target=refuse)
        server.start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        response = transport.send(Request("POST", url, "api", {}, b"x" * 5_000_000))
        server.join()
    assert (response.status, response.body) == (413, b"no")


def test_a_reset_after_the_request_counts_as_lost(transport: HttpTransport) -> None:
    def reset(talk: Talk) -> None:
        talk.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with RawServer(reset) as server, pytest.raises(Transient) as caught:
        transport.send(token_request(server.url()))
    assert (caught.value.code, caught.value.sent) == ("provider_unavailable", True)


def test_a_tls_body_without_a_length_ends_with_the_connection(
    transport: HttpTransport, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.bundle))
    with RawServer(raw(b"HTTP/1.1 200 OK\r\n\r\n{}"), tls=authority.server("127.0.0.1")) as server:
        assert transport.send(token_request(server.url())).body == b"{}"
    with (
        RawServer(
            raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}"), tls=authority.server("127.0.0.1")
        ) as server,
        pytest.raises(Transient),
    ):
        transport.send(token_request(server.url()))


def test_a_large_request_goes_through_tls_whole(
    transport: HttpTransport, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.bundle))
    with RawServer(answer(), tls=authority.server("127.0.0.1")) as server:
        transport.send(Request("POST", server.url(), "api", {}, b"y" * 300_000))
    assert server.requests[0].body == b"y" * 300_000


def test_the_peak_is_told_apart_from_what_came_before() -> None:
    """The measure that the memory tests rest on."""
    before = peak_from_now()
    block = bytearray(os.urandom(1) * 30_000_000)
    assert peak() - before > 25_000_000
    del block
    assert peak_from_now() - before < 10_000_000


@pytest.mark.parametrize(
    "headers", [{"Authorization": f"Bearer {CANARY}\r\nX: y"}, {"Authorization": f"Bearer {CANARY}é"}]
)
def test_a_header_that_http_forbids_is_refused_without_being_shown(
    headers: dict[str, str], transport: HttpTransport
) -> None:
    with RawServer(answer()) as server:
        with pytest.raises(SettingWrong) as caught:
            transport.send(Request("GET", server.url(), "api", headers))
        assert server.requests == []
    assert shows_no_secret(caught.value)


@pytest.fixture(autouse=True)
def _no_descriptor_is_left(transport: HttpTransport) -> Iterator[None]:
    folder = Path("/proc/self/fd")
    if not folder.exists():
        yield
        return
    before = len(list(folder.iterdir()))
    yield
    gc.collect()
    end = time.monotonic() + 2
    while len(list(folder.iterdir())) > before and time.monotonic() < end:
        time.sleep(0.02)
    assert len(list(folder.iterdir())) <= before


def test_s86_plain_http_leads_into_the_own_network_alone(
    transport: HttpTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A name of the own network that leads to the internet, or to this computer, gets nothing."""
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    real, asked = socket.getaddrinfo, []

    def answers(address: str) -> None:
        def resolved(host: str, *args: object, **kwargs: object) -> object:
            asked.append(host)
            return real(address if host == "nas.local" else host, *args, **kwargs)  # type: ignore[arg-type]

        monkeypatch.setattr(socket, "getaddrinfo", resolved)

    with RawServer(answer()) as server:
        url = f"http://nas.local:{server.port}/"
        allowed = replace(token_request(url), plain_host=f"nas.local:{server.port}")
        for address in ("203.0.113.1", "127.0.0.1"):
            answers(address)
            with pytest.raises(Transient) as caught:
                transport.send(allowed)
            assert (caught.value.code, caught.value.sent) == ("network_unreachable", False)
        assert set(asked) == {"nas.local"}, "and no proxy was asked"
        asked.clear()
        for other in (None, "nas.local", "other.local:80"):
            with pytest.raises(SettingWrong):
                transport.send(replace(token_request(url), plain_host=other))
        assert asked == []
        assert server.requests == []
        # The test's network has loopback alone: it stands for the own network here.
        near = "keyfob.adapters.network.transport.is_own_network"
        monkeypatch.setattr(near, lambda each: each == "127.0.0.1")
        answers("127.0.0.1")
        assert transport.send(allowed).status == 200
        assert len(server.requests) == 1
