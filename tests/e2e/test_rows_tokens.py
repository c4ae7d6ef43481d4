"""S-27 to S-33, S-35 to S-39 and S-59 through the whole engine: what the
token endpoint and its neighbours may do to a session.
"""

from __future__ import annotations

import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from keyfob.adapters.vault.secret_service import SecretServiceVault
from keyfob.core.errors import KeychainError, KeyfobError
from keyfob.core.secret import Secret
from keyfob.service.accounts.grant_store import GrantStore
from keyfob.service.accounts.views import Disconnection
from support import hostile
from support.certificates import Authority
from support.hostile import Behaviour, RawServer, answer, redirect
from support.misbehaving import METADATA, Misbehaving
from support.running import until
from support.session import DesktopSession
from support.whole_engine import Whole

pytestmark = pytest.mark.network


@pytest.fixture
def whole(tmp_path: Path, provider: Misbehaving) -> Iterator[Whole]:
    made = Whole(tmp_path, provider, deadline=2.0)
    yield made
    made.engine.close()


def status(whole: Whole) -> str:
    return whole.engine.accounts.view("here").status


# --- S-27 ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["self-signed", "expired", "wrong host", "unknown authority"])
def test_s_27_a_certificate_that_does_not_hold(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    (tmp_path / "ours").mkdir()
    (tmp_path / "theirs").mkdir()
    ours, theirs = Authority(tmp_path / "ours"), Authority(tmp_path / "theirs", "Another Authority")
    tls: ssl.SSLContext
    match fault:
        case "self-signed":
            tls = ours.server("127.0.0.1", self_signed=True)
        case "expired":
            tls = ours.server("127.0.0.1", expired=True)
        case "wrong host":
            tls = ours.server("elsewhere.example")
        case _:
            tls = theirs.server("127.0.0.1")
    monkeypatch.setenv("SSL_CERT_FILE", str(ours.bundle))
    for name, value in {
        "PYTHONHTTPSVERIFY": "0", "CURL_CA_BUNDLE": "", "REQUESTS_CA_BUNDLE": "",
        "NODE_TLS_REJECT_UNAUTHORIZED": "0",
        "GIT_SSL_NO_VERIFY": "1", "HTTPX_VERIFY": "0",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    with Misbehaving(tls=tls) as provider:
        whole = Whole(tmp_path, provider)
        assert whole.fails().code == "tls_untrusted"
        assert provider.requests == []
        whole.engine.close()


# --- S-28 ---------------------------------------------------------------------------------------------------


def test_s_28_no_proxy_and_no_netrc_for_this_machine(
    whole: Whole, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The proxy would see every token of a provider on loopback; `.netrc`
    would send a password nobody asked for.
    """
    with RawServer(answer(502, b"")) as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, proxy.url(""))
        netrc = tmp_path / ".netrc"
        netrc.write_text("machine 127.0.0.1 login somebody password secret\n")
        netrc.chmod(0o600)
        monkeypatch.setenv("NETRC", str(netrc))
        monkeypatch.setenv("HOME", str(tmp_path))
        whole.engine = whole.another()
        assert whole.connect().status == "connected"
        assert whole.renew() is None
        assert proxy.requests == []
    for request in whole.provider.requests:
        assert not request.headers.get("authorization", "").startswith("Basic ")


# --- S-29 ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("path", [METADATA, "/token", "/jwks", "/userinfo", "/par"])
def test_s_29_no_redirect_is_followed_at_a_sign_in(whole: Whole, path: str, code: int) -> None:
    with RawServer(answer(200, b"{}")) as elsewhere:
        whole.provider.become("S-54")
        whole.provider.next(path, redirect(code, elsewhere.url("/catch")))
        whole.fails()
        assert elsewhere.requests == []
        assert whole.provider.paths()[-1] in (path, "/revoke")
        assert whole.provider.paths().count(path) == 1


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_s_29_no_redirect_is_followed_at_renewal_and_revocation(whole: Whole, code: int) -> None:
    whole.connect()
    with RawServer(answer(200, b"{}")) as elsewhere:
        whole.provider.next("/token", redirect(code, elsewhere.url("/catch")))
        assert whole.renew() is not None
        assert status(whole) == "connected"
        whole.provider.next("/revoke", redirect(code, elsewhere.url("/catch")))
        assert whole.engine.accounts.disconnect("here").revoked == "pending"
        assert elsewhere.requests == []


# --- S-30 ---------------------------------------------------------------------------------------------------

HOSTILE: dict[str, Behaviour] = {
    "a gigabyte told": hostile.big_body(1 << 30, declared=True),
    "a gigabyte untold": hostile.big_body(1 << 30, declared=False),
    "chunks without end": hostile.big_chunked(1 << 30),
    "gzip bomb": hostile.gzip_bomb(),
    "a byte at a time": hostile.drip_body(),
    "a header at a time": hostile.drip_headers(),
    "HTML with 200": answer(200, b"<html>hello</html>", {"Content-Type": "text/html"}),
    "UTF-16": answer(200, '{"access_token":"a"}'.encode("utf-16")),
    "NaN": answer(200, b'{"access_token":"a","token_type":"Bearer","expires_in":NaN}'),
    "doubled keys": answer(200, b'{"access_token":"a","access_token":"b","token_type":"Bearer"}'),
    "depth": answer(200, b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "cut off": hostile.cut_off(),
    "a list": answer(200, b'["access_token"]'),
    "nothing": answer(200, b""),
    "silence": hostile.silence,
    "hang up": hostile.hang_up,
}


@pytest.mark.parametrize("name", HOSTILE)
def test_s_30_hostile_bodies_end_and_leave_the_old_tokens_whole(whole: Whole, name: str) -> None:
    whole.connect()
    before = whole.grant()
    started = time.monotonic()
    whole.provider.next("/token", HOSTILE[name])
    assert whole.renew() is not None
    assert time.monotonic() - started < 10
    assert status(whole) == "connected"
    assert whole.grant() == before
    assert whole.token() == before.access.reveal()
    time.sleep(0.05)
    assert len(whole.provider.renewals()) == 1


JSON = {"Content-Type": "application/json"}
MANGLED: dict[str, tuple[Callable[[bytes], Behaviour], int]] = {
    "a doubled key": (lambda body: answer(200, body[:-1] + b', "team": 1, "team": 2}', JSON), 9),
    "Latin-1": (lambda body: answer(200, body[:-1] + b', "team": "caf\xe9"}', JSON), 9),
    "NaN": (lambda body: answer(200, body[:-1] + b', "score": NaN}', JSON), 9),
    "trailing bytes": (lambda body: answer(200, body + b"\n-- debug --", JSON), 9),
    "UTF-16": (lambda body: answer(200, body.decode().encode("utf-16"), JSON), 9),
    "an error beside the tokens": (lambda body: answer(200, body[:-1] + b', "error": "odd"}', JSON), 9),
    "an end of the grant beside the tokens": (
        lambda body: answer(200, body[:-1] + b', "error": "invalid_grant"}', JSON),
        9,
    ),
    "a busy server's word beside the tokens": (
        lambda body: answer(200, body[:-1] + b', "error": "server_error"}', JSON),
        5,
    ),
    "cut off": (lambda body: answer(200, body[: body.index(b'"id_token"')], JSON), 5),
    "another content type": (
        lambda body: answer(200, body, {"Content-Type": "application/x-www-form-urlencoded"}),
        5,
    ),
}


@pytest.mark.parametrize("name", MANGLED)
def test_s_30_a_rotated_refresh_token_survives_an_answer_that_cannot_be_read(whole: Whole, name: str) -> None:
    """The server has spent the old one by then: throwing the new one away would lose the session."""
    whole.connect()
    before = whole.grant()
    whole.provider.mangle, exit_code = MANGLED[name]
    error = whole.renew()
    assert error is not None
    assert error.exit_code == exit_code
    kept = whole.grant()
    assert kept.access == before.access  # the access token of a refused answer is not used
    assert kept.refresh != before.refresh
    assert status(whole) == "connected"
    assert whole.token() == before.access.reveal()
    assert whole.renew() is None
    assert status(whole) == "connected"
    assert len(set(whole.provider.renewals())) == 2  # and no token was sent twice
    kinds = [event.kind for event in whole.engine.accounts.history("here")]
    assert kinds.count("renewed") == 1


@pytest.mark.parametrize("name", ["a doubled key", "cut off", "a busy server's word beside the tokens"])
def test_s_30_a_sign_in_whose_answer_cannot_be_read_is_revoked(whole: Whole, name: str) -> None:
    whole.provider.mangle, exit_code = MANGLED[name]
    assert whole.fails().exit_code == exit_code
    assert whole.provider.live == {}
    assert whole.engine.accounts.views() == []


# --- S-31 to S-35 -------------------------------------------------------------------------------------------


def test_s_31_an_error_in_a_200_is_a_failure(whole: Whole) -> None:
    whole.provider.become("S-31")
    whole.fails()
    assert whole.engine.accounts.views() == []
    assert whole.provider.paths()[-1] == "/token"


@pytest.mark.parametrize(
    ("case", "least", "most"),
    [
        ("S-32 text", 3590, 3600),
        ("S-32 fraction", 3590, 3601),
        ("S-32 negative", 1, 400),
        ("S-32 zero", 1, 400),
        ("S-32 huge", 86_400, 3651 * 86_400),
        ("S-32 true", 1, 400),
    ],
)
def test_s_32_expires_in_is_taken_or_clamped_and_makes_no_loop(
    whole: Whole, case: str, least: int, most: int
) -> None:
    whole.provider.become(case)
    view = whole.connect()
    assert view.expires_at is not None
    left = (view.expires_at - datetime.now(UTC)).total_seconds()
    assert least <= left <= most
    assert whole.renew() is None
    for _ in range(20):
        whole.token()
        whole.engine.renewer.tick()
        assert whole.engine.renewer.settled(timedelta(seconds=5))
    assert whole.provider.count("/token") == 2


def test_s_32_a_silent_lifetime_is_used_until_a_401(whole: Whole) -> None:
    whole.provider.become("S-32 missing")
    assert whole.connect().expires_at is None
    old = whole.token()
    for _ in range(5):
        assert whole.token() == old
    assert whole.provider.count("/token") == 1
    new = whole.engine.accounts.token("here", rejected=Secret(old)).token.reveal()
    assert new != old
    assert whole.engine.accounts.token("here", rejected=Secret(old)).token.reveal() == new
    assert whole.provider.count("/token") == 2


def test_s_33_the_token_types_case_is_ignored(whole: Whole) -> None:
    whole.provider.become("S-33 case")
    assert whole.connect().status == "connected"


@pytest.mark.parametrize("case", ["S-33 missing", "S-33 unknown"])
def test_s_33_a_token_of_no_known_type_is_refused(whole: Whole, case: str) -> None:
    whole.provider.become(case)
    assert whole.fails().exit_code == 9
    assert whole.provider.paths()[-1] == "/token"
    assert whole.engine.accounts.views() == []


def test_s_33_a_renewal_of_another_type_keeps_its_refresh_token_only(whole: Whole) -> None:
    whole.connect()
    before = whole.grant()
    whole.provider.become("S-33 renewal")
    error = whole.renew()
    assert error is not None
    assert error.exit_code == 9
    assert whole.grant().access == before.access
    whole.provider.become("honest")
    assert whole.renew() is None
    assert len(set(whole.provider.renewals())) == 2


@pytest.mark.parametrize("case", ["S-35 absent", "S-35 null", "S-35 empty"])
def test_s_35_no_refresh_token_in_the_answer_keeps_the_old(whole: Whole, case: str) -> None:
    whole.connect()
    whole.provider.become(case)
    before = whole.grant().refresh
    assert whole.renew() is None
    assert whole.grant().refresh == before
    assert whole.renew() is None
    assert len(set(whole.provider.renewals())) == 1


# --- S-36, S-37 ---------------------------------------------------------------------------------------------


def test_s_36_sixteen_callers_of_two_engines_are_one_renewal(tmp_path: Path) -> None:
    """And no refresh token is sent twice."""
    with Misbehaving(lifetime=2) as provider:
        whole = Whole(tmp_path, provider)
        whole.connect()
        time.sleep(2.1)
        provider.lifetime = 3600
        engines = [whole.engine, whole.another()]
        got: list[str] = []

        def ask(number: int) -> None:
            got.append(engines[number % 2].accounts.token("here").token.reveal())

        threads = [threading.Thread(target=ask, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(got) == 16
        assert len(set(got)) == 1
        assert got[0] in provider.access
        assert len(provider.renewals()) == 1
        for engine in engines:
            engine.close()


def test_s_36_reuse_kills_the_family_once_and_makes_no_loop(whole: Whole) -> None:
    """A restored keychain brings a spent token back: one `needs_sign_in`, and silence."""
    whole.connect()
    old = {name: value for name, value in whole.entries().items() if name.endswith("/a")}
    assert whole.renew() is None
    for name, value in old.items():
        whole.vault.save(name, value)
        whole.vault.delete(name[:-1] + "b")
    error = whole.renew()
    assert error is not None
    assert error.exit_code == 3
    assert status(whole) == "needs_sign_in"
    sent = len(whole.provider.requests)
    for _ in range(3):
        with pytest.raises(KeyfobError):
            whole.token()
        whole.engine.renewer.tick()
        whole.engine.renewer.settled(timedelta(seconds=5))
    assert len(whole.provider.requests) == sent
    kinds = [event.kind for event in whole.engine.accounts.history("here")]
    assert kinds.count("needs_sign_in") == 1


def test_s_37_the_renewal_carries_the_resource(tmp_path: Path, provider: Misbehaving) -> None:
    whole = Whole(tmp_path, provider, top='resource = "https://api.example.org/"')
    whole.connect()
    assert whole.renew() is None
    assert [form["resource"] for form in provider.forms("/token")] == ["https://api.example.org/"] * 2
    assert whole.authorization["resource"] == "https://api.example.org/"
    whole.engine.close()


# --- S-39 ---------------------------------------------------------------------------------------------------

PASSING: dict[str, Behaviour] = {
    "500": answer(500, b'{"error":"invalid_grant"}'),
    "503 HTML": answer(503, b"<html>down</html>", {"Content-Type": "text/html"}),
    "429": answer(429, b"{}", {"Retry-After": "31536000"}),
    "403 HTML": answer(403, b"<html>blocked</html>", {"Content-Type": "text/html"}),
    "404 HTML": answer(404, b"<html>gone</html>", {"Content-Type": "text/html"}),
    "captive portal": redirect(302, "http://portal.example/login"),
    "captive portal page": answer(200, b"<html>sign in to wifi</html>", {"Content-Type": "text/html"}),
    "invalid_client": answer(401, b'{"error":"invalid_client"}'),
    "invalid_request": answer(400, b'{"error":"invalid_request"}'),
    "unauthorized_client": answer(400, b'{"error":"unauthorized_client"}'),
    "access_denied": answer(400, b'{"error":"access_denied"}'),
    "offline": hostile.hang_up,
}


@pytest.mark.parametrize("name", PASSING)
def test_s_39_what_may_pass_ends_no_grant_and_is_backed_off(whole: Whole, name: str) -> None:
    whole.connect()
    before = whole.grant()
    whole.provider.next("/token", PASSING[name])
    assert whole.renew() is not None
    view = whole.engine.accounts.view("here")
    assert view.status == "connected"
    assert view.last_error is not None
    assert whole.grant() == before
    sent = len(whole.provider.renewals())
    for _ in range(5):
        assert whole.token() == before.access.reveal()
        whole.engine.renewer.tick()
        whole.engine.renewer.settled(timedelta(seconds=5))
    assert len(whole.provider.renewals()) == sent  # backed off
    if name == "429":
        assert whole.renew() is not None  # a person's press does not override what the provider asked for
        assert len(whole.provider.renewals()) == sent
        assert view.renews_at is not None
        assert view.renews_at - datetime.now(UTC) <= timedelta(days=1, minutes=1)  # a year is a mistake
        return
    assert whole.renew() is None
    assert status(whole) == "connected"


def test_s_39_invalid_grant_is_the_end_and_nothing_is_sent_after_it(whole: Whole) -> None:
    whole.connect()
    whole.provider.end_grants()
    error = whole.renew()
    assert error is not None
    assert error.exit_code == 3
    assert status(whole) == "needs_sign_in"
    sent = len(whole.provider.requests)
    with pytest.raises(KeyfobError):
        whole.token()
    assert len(whole.provider.requests) == sent
    assert whole.grant().refresh is not None  # nothing is deleted
    assert whole.connect(account="here").status == "connected"


# --- S-59 ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [answer(503, b"{}"), hostile.hang_up], ids=["503", "offline"])
def test_s_59_forgotten_here_at_once_and_revoked_later(whole: Whole, how: Behaviour) -> None:
    whole.connect()
    refresh = whole.grant().refresh
    assert refresh is not None
    whole.provider.next("/revoke", how)
    ended = whole.engine.accounts.disconnect("here")
    assert ended.revoked == "pending"
    assert not [name for name in whole.entries() if name.endswith(("/a", "/b"))]
    with pytest.raises(KeyfobError) as caught:
        whole.token()
    assert caught.value.code == "disconnected"
    pending = whole.engine.store.revocations()
    assert len(pending) == 1
    assert [name for name in whole.entries() if name.startswith("revoke/")]
    restarted = whole.another()
    restarted.disconnector.settle(pending[0])
    assert whole.provider.revoked[-1] == refresh.reveal()
    assert restarted.store.revocations() == []
    assert not [name for name in whole.entries() if name.startswith("revoke/")]
    restarted.close()


def test_s_59_a_late_renewal_cannot_bring_it_back(whole: Whole) -> None:
    whole.connect()
    on_its_way, go_on = threading.Event(), threading.Event()

    def hold() -> None:
        on_its_way.set()
        go_on.wait(10)

    whole.provider.before["/token"] = hold
    told: list[object] = []
    renewing = threading.Thread(target=lambda: told.append(whole.renew()))
    renewing.start()
    assert on_its_way.wait(10)
    ended: list[str] = []
    ending = threading.Thread(target=lambda: ended.append(whole.engine.accounts.disconnect("here").revoked))
    ending.start()
    until(lambda: status(whole) == "disconnected", "the account to be disconnected", 5)
    go_on.set()
    renewing.join(10)
    ending.join(10)
    assert isinstance(told[0], KeyfobError)
    assert told[0].code == "disconnected"
    assert ended
    assert status(whole) == "disconnected"
    assert not [name for name in whole.entries() if name.endswith(("/a", "/b"))]
    assert whole.provider.live == {}  # the renewed refresh token was revoked


def test_s_59_removing_during_a_renewal_leaves_nothing_behind(whole: Whole) -> None:
    whole.connect()
    on_its_way, go_on = threading.Event(), threading.Event()
    whole.provider.before["/token"] = lambda: (on_its_way.set(), go_on.wait(10), None)[2]
    renewing = threading.Thread(target=whole.renew)
    renewing.start()
    assert on_its_way.wait(10)
    removing = threading.Thread(target=lambda: whole.engine.accounts.remove("here"))
    removing.start()
    time.sleep(0.3)
    go_on.set()
    renewing.join(10)
    removing.join(10)
    assert whole.engine.accounts.views() == []
    assert whole.entries() == {} or all(name.startswith("client/") for name in whole.entries())
    assert whole.provider.live == {}


def test_s_59_who_waited_for_the_renewal_says_that_it_is_revoked(whole: Whole) -> None:
    """The renewing process got the answer after the disconnect, and revoked it itself."""
    whole.connect()
    on_its_way, go_on = threading.Event(), threading.Event()
    whole.provider.before["/token"] = lambda: (on_its_way.set(), go_on.wait(10), None)[2]
    renewing = threading.Thread(target=whole.renew)
    renewing.start()
    assert on_its_way.wait(10)
    ended: list[Disconnection] = []
    ending = threading.Thread(target=lambda: ended.append(whole.engine.accounts.disconnect("here")))
    ending.start()
    time.sleep(0.3)
    go_on.set()
    renewing.join(10)
    ending.join(10)
    assert (ended[0].revoked, ended[0].reason) == ("yes", None)
    assert whole.provider.live == {}


# --- S-85 ---------------------------------------------------------------------------------------------------


def test_s_85_all_that_an_account_ever_held_is_revoked_at_disconnect(whole: Whole) -> None:
    """Reconnected twice, renewed meanwhile, restarted: no older sign-in lives on."""
    first = whole.connect()
    assert whole.renew() is None
    assert whole.connect(account="here").key == first.key
    assert whole.renew() is None
    whole.engine.close()
    whole.engine = whole.another()
    assert whole.connect().key == first.key  # recognised, not reconnected by name
    assert len(whole.provider.live) == 3
    assert whole.provider.revoked == []  # not at once: a provider may end the new one with it
    whole.engine.renewer.tick()
    assert whole.engine.renewer.settled(timedelta(seconds=5))
    assert whole.provider.revoked == []
    ended = whole.engine.accounts.disconnect("here")
    assert (ended.revoked, ended.sign_ins, ended.left) == ("yes", 3, 0)
    assert whole.provider.live == {}
    assert whole.engine.store.revocations() == []
    assert not [name for name in whole.entries() if name.startswith("revoke/")]


def test_s_85_offline_every_sign_in_is_revoked_later(whole: Whole) -> None:
    whole.connect()
    whole.connect(account="here")
    whole.provider.next("/revoke", hostile.hang_up)
    ended = whole.engine.accounts.remove("here")
    assert (ended.revoked, ended.sign_ins) == ("pending", 2)
    assert whole.provider.count("/revoke") == 1  # a server that does not answer is not waited for twice
    for pending in whole.engine.store.revocations():
        whole.engine.disconnector.settle(pending)
    assert whole.provider.live == {}


def test_s_85_what_the_provider_does_not_revoke_is_told(whole: Whole) -> None:
    whole.connect()
    whole.connect(account="here")
    whole.provider.next("/revoke", answer(200, b"{}"), answer(400, b'{"error":"invalid_request"}'))
    ended = whole.engine.accounts.disconnect("here")
    assert (ended.revoked, ended.reason, ended.sign_ins, ended.left) == ("unsupported", "refused", 2, 1)
    kinds = [event.kind for event in whole.engine.accounts.history("here")]
    assert kinds[-2:] == ["revoked", "revocation_failed"]
    assert whole.engine.accounts.disconnect("here").revoked == "unsupported"  # the second time too


def test_s_85_local_tells_the_provider_nothing_of_older_ones_either(whole: Whole) -> None:
    whole.connect()
    whole.connect(account="here")
    ended = whole.engine.accounts.disconnect("here", local=True)
    assert (ended.revoked, ended.reason, ended.sign_ins, ended.left) == ("unsupported", "local", 2, 2)
    assert whole.provider.revoked == []
    assert whole.engine.store.revocations() == []
    assert not [name for name in whole.entries() if name.startswith("revoke/")]


def test_s_85_the_number_of_older_sign_ins_is_bounded_and_the_person_is_told(
    whole: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keyfob.service.accounts.revocations.HELD_MOST", 2)
    for _ in range(4):
        whole.connect()
    assert len(whole.engine.store.revocations()) == 2
    assert "revocation_failed" in [event.kind for event in whole.engine.accounts.history("here")]
    assert whole.engine.accounts.disconnect("here").sign_ins == 3
    assert len(whole.provider.live) == 1


def test_s_85_a_failed_reconnect_keeps_nothing_to_revoke(
    whole: Whole, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole.connect()
    before = whole.grant()
    with monkeypatch.context() as patch:

        def refuse(self: GrantStore, key: str, grant: object, **more: object) -> str:
            raise KeychainError("The keychain is locked", code="keychain_locked")

        patch.setattr(GrantStore, "save", refuse)
        assert whole.fails(account="here").code == "keychain_locked"
    assert whole.engine.store.revocations() == []
    assert whole.grant() == before
    assert len(whole.provider.live) == 1  # the new one was given back


def test_s_85_a_revocation_that_waited_does_not_end_the_next_sign_in(whole: Whole) -> None:
    """Some servers end all grants of a person and a client with one: what waits is tried before the new
    sign-in, or else with its end.
    """
    whole.connect()
    refresh = whole.grant().refresh
    assert refresh is not None
    whole.provider.next("/revoke", hostile.hang_up, hostile.hang_up)
    assert whole.engine.accounts.disconnect("here").revoked == "pending"
    assert whole.connect(account="here").status == "connected"
    (waiting,) = whole.engine.store.revocations()
    whole.engine.store.put_revocation(replace(waiting, retry_at=None))
    whole.engine.renewer.tick()
    assert whole.engine.renewer.settled(timedelta(seconds=5))
    assert whole.provider.revoked == []
    ended = whole.engine.accounts.disconnect("here")
    assert (ended.revoked, ended.sign_ins) == ("yes", 2)
    assert refresh.reveal() in whole.provider.revoked


def test_s_85_what_waited_is_revoked_before_the_next_sign_in(whole: Whole) -> None:
    whole.connect()
    whole.provider.next("/revoke", hostile.hang_up)
    assert whole.engine.accounts.disconnect("here").revoked == "pending"
    sent = len(whole.provider.requests)
    assert whole.connect(account="here").status == "connected"
    assert whole.provider.paths(sent)[0] == "/revoke"
    assert len(whole.provider.revoked) == 1
    assert whole.engine.store.revocations() == []


# --- a real keychain ----------------------------------------------------------------------------------------


@pytest.mark.keychain
def test_s_59_with_a_locked_keychain_it_says_what_was_done_and_does_the_rest(
    tmp_path: Path, provider: Misbehaving
) -> None:
    with DesktopSession() as session, session.applied():
        vault = SecretServiceVault("home")
        whole = Whole(tmp_path, provider, vault=vault)
        whole.connect()
        whole.connect(account="here")
        session.lock_keyring()
        with pytest.raises(KeychainError) as caught:
            whole.engine.accounts.disconnect("here")
        assert (caught.value.exit_code, caught.value.code) == (4, "keychain_locked")
        assert "here/alice is disconnected, but its tokens are still stored" in caught.value.message
        assert "asks the provider to revoke them" in caught.value.message
        assert status(whole) == "disconnected"
        assert provider.revoked == []
        session.unlock_keyring()
        whole.engine.renewer.tick()
        assert whole.engine.renewer.settled(timedelta(seconds=20))
        assert provider.live == {}
        assert whole.engine.accounts.disconnect("here").revoked == "yes"
        whole.engine.close()
        vault.close()
