"""The callback listener over real sockets: every row of the threat table that speaks of it, by its number."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest

from keyfob.adapters.loopback import listener as listener_module
from keyfob.adapters.loopback import server
from keyfob.adapters.loopback.handover import ask_to_give_way
from keyfob.adapters.loopback.listener import CallbackListener
from keyfob.adapters.loopback.loopback import Loopback
from keyfob.adapters.loopback.port_holder import who_holds
from keyfob.adapters.system.entropy import entropy
from keyfob.core.errors import PeerFault, SettingWrong, SignInEnded, Usage
from keyfob.core.http import Callback, Outcome
from keyfob.core.provider import RedirectProfile
from keyfob.core.resources import resources
from keyfob.core.secret import Secret
from keyfob.protocol.effects import Expectation
from support.running import free_port

pytestmark = pytest.mark.network

NOW = datetime(2026, 11, 20, 12, tzinfo=UTC)
STATE = "live-state-" + "x" * 16
EXPECTED = Expectation(Secret(STATE), issuer="https://id.example", iss_required=True)
GOOD = f"/callback?code=c0de&state={STATE}&iss=https%3A%2F%2Fid.example"
DONE = Outcome(True, "Connected as Alice", "You can close this tab.")
ANY = RedirectProfile(port="any")
TOO_LATE = Outcome(False, "That was too late", "Start again in Keyfob.")
MAKER = Loopback(lambda: NOW, entropy, resources())


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: str


@dataclass
class Served:
    listener: CallbackListener
    thread: threading.Thread

    @property
    def port(self) -> int:
        return urlsplit(self.listener.redirect_uri).port or 0

    def send(self, data: bytes, timeout: float = 5) -> Answer:
        with socket.create_connection(("127.0.0.1", self.port), timeout) as peer:
            peer.sendall(data)
            return read(peer)

    def get(self, target: str, *headers: str, timeout: float = 5) -> Answer:
        return self.send(self.request(target, *headers), timeout)

    def request(self, target: str, *headers: str) -> bytes:
        lines = [f"GET {target} HTTP/1.1", f"Host: 127.0.0.1:{self.port}", *headers, "", ""]
        return "\r\n".join(lines).encode()

    def wait(self, seconds: float = 5) -> Callback:
        return self.listener.wait(deadline=timedelta(seconds=seconds), cancel=threading.Event())

    def end(self) -> None:
        self.listener.close()
        self.thread.join(2)
        assert not self.thread.is_alive()


def read(peer: socket.socket) -> Answer:
    """One whole answer, to the end of the connection: a reset or a missing end fails the test."""
    data = b""
    while chunk := peer.recv(65536):
        data += chunk
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return Answer(int(first.split(" ")[1]), headers, body.decode())


@contextlib.contextmanager
def serving(
    profile: RedirectProfile = ANY, *, setting_port: int = 0, expect: bool = True
) -> Iterator[Served]:
    listener = MAKER.bind(profile, setting_port=setting_port)
    thread = threading.Thread(target=listener.serve)
    thread.start()
    if expect:
        listener.expect(EXPECTED)
    served = Served(listener, thread)
    try:
        yield served
    finally:
        served.end()


@pytest.fixture
def served() -> Iterator[Served]:
    with serving() as it:
        yield it


def free_within(port: int, seconds: float) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            MAKER.bind(RedirectProfile(port="fixed", ports=(port,)), setting_port=0).close()
            return True
        except SettingWrong:
            time.sleep(0.02)
    return False


def still_works(served: Served) -> None:
    assert served.get(GOOD).status == 303
    assert served.wait(1).params["code"] == "c0de"


class TestTheWholeWay:
    def test_callback_page_and_outcome(self, served: Served) -> None:
        answer = served.get(GOOD)
        callback = served.wait()
        assert callback.params["code"] == "c0de"
        assert callback.at == NOW
        with ThreadPoolExecutor(1) as pool:
            page = pool.submit(served.get, answer.headers["location"])
            time.sleep(0.3)
            assert not page.done()  # S-24: the page waits for the true outcome
            assert not served.listener.concluded(0)
            served.listener.conclude(DONE)
            assert served.listener.concluded(2)
            assert "Connected as Alice" in page.result().body
        assert "Connected as Alice" in served.get(answer.headers["location"]).body  # a reload

    def test_s24_no_code_in_the_history(self, served: Served) -> None:
        answer = served.get(GOOD)
        assert answer.status == 303
        location = answer.headers["location"]
        assert "?" not in location
        assert "c0de" not in location
        assert STATE not in location
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["referrer-policy"] == "no-referrer"

    def test_s24_the_true_outcome_when_it_failed(self, served: Served) -> None:
        location = served.get(GOOD).headers["location"]
        served.listener.conclude(Outcome(False, "The provider refused", "Start again in Keyfob."))
        page = served.get(location).body
        assert "The provider refused" in page
        assert "Connected" not in page

    def test_closed_without_an_outcome(self, served: Served) -> None:
        location = served.get(GOOD).headers["location"]
        with ThreadPoolExecutor(1) as pool:
            page = pool.submit(served.get, location)
            time.sleep(0.2)
            served.end()
            assert "Keyfob was closed before it finished" in page.result().body

    def test_a_long_wait_shows_that_it_goes_on(self, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(server, "HOLD_LIMIT", 0.1)
        location = served.get(GOOD).headers["location"]
        answer = served.get(location)
        assert answer.headers["refresh"] == "2"
        assert not served.listener.concluded(0)  # the browser comes back, so somebody still waits
        served.listener.conclude(DONE)
        assert "Connected as Alice" in served.get(location).body
        assert served.listener.concluded(1)

    def test_a_closed_tab_is_not_waited_for(self, served: Served) -> None:
        location = served.get(GOOD).headers["location"]
        with socket.create_connection(("127.0.0.1", served.port), 5) as peer:
            peer.sendall(served.request(location))
            time.sleep(0.2)
        assert served.listener.concluded(1)

    def test_an_error_callback_is_a_callback(self, served: Served) -> None:
        answer = served.get(f"/callback?error=access_denied&state={STATE}&iss=https://id.example")
        assert answer.status == 303
        assert served.wait().params["error"] == "access_denied"


class TestRefusalsLeaveTheAttemptAlive:
    @pytest.mark.parametrize(
        ("row", "target"),
        [
            ("S-5 missing", "/callback?code=c"),
            ("S-5 wrong", "/callback?code=c&state=other"),
            ("S-6 error without state", "/callback?error=access_denied"),
            ("S-7 wrong", f"/callback?code=c&state={STATE}&iss=https://evil.example"),
            ("S-7 absent", f"/callback?code=c&state={STATE}"),
            ("S-7 doubled", GOOD + "&iss=https://id.example"),
            ("S-7 on errors", f"/callback?error=access_denied&state={STATE}"),
            ("S-10 doubled", GOOD + "&code=d"),
            ("S-10 doubled, escaped", GOOD + "&%63ode=d"),
            ("no code", f"/callback?state={STATE}&iss=https://id.example"),
        ],
    )
    def test_400(self, served: Served, row: str, target: str) -> None:
        answer = served.get(target)
        assert answer.status == 400, row
        still_works(served)

    def test_s5_before_anything_is_expected(self) -> None:
        with serving(expect=False) as served:
            assert served.get(GOOD).status == 400
            assert served.get("/other").status == 404
            served.listener.expect(EXPECTED)
            still_works(served)

    def test_s5_expired(self, served: Served) -> None:
        with pytest.raises(SignInEnded) as caught:
            served.wait(0.05)
        assert caught.value.code == "timed_out"
        assert served.get(GOOD).status == 303
        with pytest.raises(SignInEnded):
            served.wait(0.05)

    def test_s16_host(self, served: Served) -> None:
        port = served.port
        for hosts in (
            ["evil.example"],
            [f"evil.example:{port}"],
            [f"localhost:{port}"],
            [],
            [f"127.0.0.1:{port}"] * 2,
        ):
            lines = [f"GET {GOOD} HTTP/1.1", *(f"Host: {host}" for host in hosts), "", ""]
            assert served.send("\r\n".join(lines).encode()).status == 400
        assert served.get(f"http://127.0.0.1:{port}{GOOD}").status == 400
        still_works(served)

    def test_s17_method_and_path(self, served: Served) -> None:
        for method in ("POST", "OPTIONS", "HEAD"):
            data = served.request(GOOD).replace(b"GET", method.encode(), 1)
            answer = served.send(data)
            assert answer.status == 405
            assert answer.headers["allow"] == "GET"
        for path in (f"/{GOOD}", "/favicon.ico", GOOD.replace("callback", "%63allback")):
            assert served.get(path).status == 404
        still_works(served)

    def test_s18_images_frames_and_fetches(self, served: Served) -> None:
        for headers in (
            ("Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image"),
            ("Sec-Fetch-Mode: navigate", "Sec-Fetch-Dest: iframe"),
            ("Sec-Fetch-Mode: cors", "Sec-Fetch-Dest: empty", "Origin: https://evil.example"),
            ("Origin: https://evil.example",),
        ):
            assert served.get(GOOD, *headers).status == 403
        still_works(served)

    def test_s19_line_headers_and_body(self, served: Served) -> None:
        assert served.get("/callback?" + "a" * 9000).status == 431
        assert served.get("/callback", *[f"X-{i}: {'h' * 1000}" for i in range(20)]).status == 431
        assert served.send(served.request(GOOD, "Content-Length: 4") + b"body").status == 400
        assert served.get(GOOD, "Transfer-Encoding: chunked").status == 400
        still_works(served)

    def test_s19_a_megabyte_is_answered_without_a_reset(self, served: Served) -> None:
        with socket.create_connection(("127.0.0.1", served.port), 5) as peer:
            with contextlib.suppress(OSError):
                peer.sendall(b"GET /callback?" + b"a" * 1_000_000)
            assert read(peer).status == 431
        still_works(served)

    def test_s19_a_header_that_takes_too_long(self, served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
        assert server.HEADER_DEADLINE == 5
        monkeypatch.setattr(server, "HEADER_DEADLINE", 0.3)
        with socket.create_connection(("127.0.0.1", served.port), 5) as slow:
            slow.sendall(b"GET /callback")
            assert read(slow).status == 408
        with socket.create_connection(("127.0.0.1", served.port), 5) as silent:
            assert silent.recv(1) == b""
        still_works(served)


class TestPort:
    def test_s11_loopback_only(self, served: Served) -> None:
        outside = _own_address()
        if outside is None:
            addresses = {line.split()[1] for line in Path("/proc/net/tcp").read_text().splitlines()[1:]}
            assert f"0100007F:{served.port:04X}" in addresses
            assert f"00000000:{served.port:04X}" not in addresses
        else:
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection((outside, served.port), 2)

    @pytest.mark.parametrize("ending", ["success", "cancel", "timeout", "close"])
    def test_s12_free_within_a_second(self, ending: str) -> None:
        with serving() as served:
            port = served.port
            held = [socket.create_connection(("127.0.0.1", port), 5) for _ in range(5)]
            match ending:
                case "success":
                    location = served.get(GOOD).headers["location"]
                    served.listener.conclude(DONE)
                    served.get(location)
                    served.listener.retire(DONE)
                case "cancel":
                    cancel = threading.Event()
                    cancel.set()
                    with pytest.raises(SignInEnded):
                        served.listener.wait(deadline=timedelta(minutes=5), cancel=cancel)
                    served.listener.retire(TOO_LATE)
                case "timeout":
                    with pytest.raises(SignInEnded):
                        served.wait(0.01)
                    served.listener.retire(TOO_LATE)
                case _:
                    served.listener.close()
            assert free_within(port, 1)
            for each in held:
                each.close()

    def test_s12_a_held_page_does_not_hold_the_port(self, served: Served) -> None:
        location = served.get(GOOD).headers["location"]
        with socket.create_connection(("127.0.0.1", served.port), 5) as peer:
            peer.sendall(served.request(location))
            time.sleep(0.1)
            served.listener.close()
            assert free_within(served.port, 1)

    def test_s12_never_served(self) -> None:
        listener = MAKER.bind(ANY, setting_port=0)
        port = urlsplit(listener.redirect_uri).port or 0
        listener.close()
        listener.close()
        assert free_within(port, 0.2)
        listener.serve()  # too late: returns at once
        with pytest.raises(SignInEnded):
            listener.wait(deadline=timedelta(minutes=1), cancel=threading.Event())

    def test_s12_a_fault_while_serving(self, monkeypatch: pytest.MonkeyPatch) -> None:
        listener = MAKER.bind(ANY, setting_port=0)
        port = urlsplit(listener.redirect_uri).port or 0

        def broken(data: bytes) -> None:
            raise ZeroDivisionError

        monkeypatch.setattr(listener, "receive", broken)
        with ThreadPoolExecutor(1) as pool:
            served = pool.submit(listener.serve)
            with socket.create_connection(("127.0.0.1", port), 5) as peer:
                peer.sendall(b"GET / HTTP/1.1\r\n")
                assert isinstance(served.exception(1), ZeroDivisionError)
        assert free_within(port, 1)

    def test_s13_localhost_holds_both_families(self) -> None:
        with serving(RedirectProfile(host="localhost", port="any")) as served:
            assert served.listener.redirect_uri == f"http://localhost:{served.port}/callback"
            data = served.request(GOOD).replace(b"127.0.0.1", b"localhost")
            for address in ("::1", "127.0.0.1") if _ipv6() else ("127.0.0.1",):
                with socket.create_connection((address, served.port), 5) as peer:
                    peer.sendall(data)
                    assert read(peer).status in (303, 400)
            assert served.wait(1).params["code"] == "c0de"
            assert served.get(GOOD).status == 400  # Host 127.0.0.1 is not the redirect's

    @pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
    def test_s13_localhost_half_taken_fails_closed(self, address: str) -> None:
        if address == "::1" and not _ipv6():
            with pytest.raises(OSError):
                _squat(address)
            return
        with _squat(address) as squatter:
            port = squatter.getsockname()[1]
            with pytest.raises(SettingWrong) as caught:
                MAKER.bind(RedirectProfile(host="localhost", port="fixed", ports=(port,)), setting_port=0)
        assert caught.value.code == "fixed_port_taken"
        assert free_within(port, 0.2)  # the other half was let go

    @pytest.mark.parametrize("host", ["[::1]", "::1"])
    def test_ipv6_literal(self, host: str) -> None:
        if not _ipv6():
            with pytest.raises(SettingWrong):
                MAKER.bind(RedirectProfile(host=host, port="any"), setting_port=0)
            return
        with serving(RedirectProfile(host=host, port="any")) as served:
            assert served.listener.redirect_uri == f"http://[::1]:{served.port}/callback"
            with socket.create_connection(("::1", served.port), 5) as peer:
                peer.sendall(served.request(GOOD).replace(b"127.0.0.1", b"[::1]"))
                assert read(peer).status == 303

    def test_s14_taken_names_the_holder(self) -> None:
        with _squat("127.0.0.1") as squatter:
            port = squatter.getsockname()[1]
            with pytest.raises(SettingWrong) as caught:
                MAKER.bind(RedirectProfile(), setting_port=port)
            assert caught.value.code == "port_taken"
            assert f"Port {port} is in use by Keyfob itself" in caught.value.message
            assert who_holds(port) in caught.value.message
        assert who_holds(port) is None

    def test_s14_the_next_registered_port(self) -> None:
        second = free_port()
        with _squat("127.0.0.1") as squatter:
            profile = RedirectProfile(port="list", ports=(squatter.getsockname()[1], second))
            listener = MAKER.bind(profile, setting_port=0)
            assert listener.redirect_uri == f"http://127.0.0.1:{second}/callback"
            with pytest.raises(SettingWrong) as caught:
                MAKER.bind(profile, setting_port=0)
            assert str(second) in caught.value.message
            listener.close()

    def test_s14_bound_before_anyone_serves(self) -> None:
        listener = MAKER.bind(ANY, setting_port=0)
        with socket.create_connection(("127.0.0.1", urlsplit(listener.redirect_uri).port or 0), 1):
            listener.close()

    def test_s15_exclusive(self, served: Served) -> None:
        with pytest.raises(SettingWrong):
            MAKER.bind(RedirectProfile(), setting_port=served.port)
        for options in ((), (socket.SO_REUSEADDR,), (socket.SO_REUSEADDR, socket.SO_REUSEPORT)):
            for address in ("127.0.0.1", "0.0.0.0"):
                with pytest.raises(OSError):
                    _squat(address, served.port, options)
        still_works(served)

    @pytest.mark.parametrize(
        "profile",
        [
            RedirectProfile(host="0.0.0.0", port="any"),
            RedirectProfile(host="example.org", port="any"),
            RedirectProfile(port="fixed"),
            RedirectProfile(port="list"),
            RedirectProfile(port="7"),
        ],
    )
    def test_a_faulty_profile(self, profile: RedirectProfile) -> None:
        with pytest.raises(SettingWrong) as caught:
            MAKER.bind(profile, setting_port=0)
        assert caught.value.code == "preset_faulty"


class TestCrowds:
    @pytest.mark.parametrize("opening", [b"", b"G", b"GET /callback HTTP/1.1\r\nHost: "])
    def test_s20_fifty_held_open(self, served: Served, opening: bytes) -> None:
        crowd = [socket.create_connection(("127.0.0.1", served.port), 5) for _ in range(50)]
        for each in crowd:
            with contextlib.suppress(OSError):
                each.sendall(opening)
        begun = time.monotonic()
        assert served.get(GOOD, timeout=1).status == 303
        assert time.monotonic() - begun < 1
        for each in crowd:
            each.close()
        assert served.wait(1).params["code"] == "c0de"

    def test_s19_never_more_than_32_sockets(self, served: Served) -> None:
        crowd = [socket.create_connection(("127.0.0.1", served.port), 5) for _ in range(50)]
        time.sleep(0.3)
        open_ones = 0
        for each in crowd:
            each.setblocking(False)
            try:
                each.recv(1)
            except BlockingIOError:
                open_ones += 1
            except ConnectionResetError:
                pass
            each.close()
        assert open_ones == server.MAX_SOCKETS == 32

    def test_s21_idle_keep_alive_does_not_hold_up_the_exit(self, served: Served) -> None:
        with socket.create_connection(("127.0.0.1", served.port), 5) as peer:
            peer.sendall(served.request("/favicon.ico", "Connection: keep-alive"))
            answer = read(peer)  # the end of the connection comes though we keep our side open
            assert answer.headers["connection"] == "close"
            begun = time.monotonic()
            served.end()
            assert time.monotonic() - begun < 1

    def test_s22_thirty_two_at_once(self, served: Served) -> None:
        with ThreadPoolExecutor(32) as pool:
            answers = list(pool.map(lambda _: served.get(GOOD), range(32)))
        assert {answer.status for answer in answers} == {303}
        assert len({answer.headers["location"] for answer in answers}) == 1
        assert served.wait(1).params["code"] == "c0de"
        with pytest.raises(SignInEnded):
            served.wait(0.1)

    def test_s22_a_reload_is_led_to_the_outcome(self, served: Served) -> None:
        location = served.get(GOOD).headers["location"]
        again = served.get(GOOD)
        assert (again.status, again.headers["location"]) == (303, location)
        stranger = served.get("/callback?code=c&state=other&iss=https://id.example")
        assert stranger.status == 400
        assert location not in stranger.body


class TestAfterTheEnd:
    """A browser that comes late gets a page, and the next attempt gets the port."""

    def test_s24_too_late(self, served: Served) -> None:
        with pytest.raises(SignInEnded):
            served.wait(0.01)
        served.listener.retire(TOO_LATE)
        answer = served.get(GOOD)
        assert answer.status == 303
        location = answer.headers["location"]
        assert "c0de" not in location
        assert STATE not in location
        page = served.get(location)
        assert page.status == 200
        assert "That was too late" in page.body
        assert "Start again in Keyfob." in page.body
        with pytest.raises(SignInEnded):  # nothing of the answer is used
            served.wait(0.01)
        with pytest.raises(Usage):
            served.listener.paste(f"http://127.0.0.1:{served.port}{GOOD}")

    def test_s24_an_answer_just_before_the_end_is_not_used(self, served: Served) -> None:
        location = served.get(GOOD).headers["location"]
        with ThreadPoolExecutor(1) as pool:
            held = pool.submit(served.get, location)
            time.sleep(0.1)
            served.listener.retire(TOO_LATE)
            assert "That was too late" in held.result().body
        with pytest.raises(SignInEnded):
            served.wait(0.01)

    def test_a_stranger_sees_nothing_of_it(self, served: Served) -> None:
        served.listener.retire(Outcome(True, "Connected as Alice", "Go back."))
        for target in ("/callback?code=c&state=other", "/callback", "/callback?code=c"):
            answer = served.get(target)
            assert answer.status == 400
            assert "No sign-in is waiting here" in answer.body
        assert served.get("/other").status == 404

    def test_a_second_visit_after_a_success_shows_the_success(self, served: Served) -> None:
        location = served.get(GOOD).headers["location"]
        served.listener.conclude(DONE)
        served.listener.retire(TOO_LATE)
        for target in (location, served.get(GOOD).headers["location"]):
            assert "Connected as Alice" in served.get(target).body

    @pytest.mark.parametrize(
        ("outcome", "name"), [(TOO_LATE, "LATE_PAGE_FOR"), (DONE, "DONE_PAGE_FOR")], ids=["late", "done"]
    )
    def test_it_closes_by_itself(
        self, served: Served, monkeypatch: pytest.MonkeyPatch, outcome: Outcome, name: str
    ) -> None:
        monkeypatch.setattr(listener_module, name, 0.2)
        served.listener.retire(outcome)
        served.thread.join(2)
        assert not served.thread.is_alive()
        assert served.listener.ended

    def test_it_sleeps_until_then(self, served: Served) -> None:
        served.listener.retire(TOO_LATE)
        time.sleep(0.2)
        before = _waits_of(served.thread)
        time.sleep(1)
        assert _waits_of(served.thread) - before <= 1

    def test_no_browser_was_sent_here_so_there_is_no_page(self) -> None:
        with serving(expect=False) as served:
            served.listener.retire(TOO_LATE)
            served.thread.join(2)
            assert not served.thread.is_alive()

    @pytest.mark.parametrize("moment", ["before", "after"])
    def test_closing_the_app_closes_it(self, moment: str) -> None:
        maker = Loopback(lambda: NOW, entropy, resources())
        listener = maker.bind(ANY, setting_port=0)
        thread = threading.Thread(target=listener.serve)
        thread.start()
        listener.expect(EXPECTED)
        if moment == "before":
            maker.close()
            assert not listener.ended  # an attempt that goes on is left alone
        listener.retire(TOO_LATE)
        if moment == "after":
            maker.close()
        thread.join(2)
        assert listener.ended

    def test_s12_the_next_attempt_has_the_port_at_once_every_time(self) -> None:
        port = free_port()
        profile = RedirectProfile(port="fixed", ports=(port,))
        threads = []
        for turn in range(200):
            listener = MAKER.bind(profile, setting_port=0)
            thread = threading.Thread(target=listener.serve)
            if turn % 5:  # sometimes it is over before anybody serves
                thread.start()
                threads.append(thread)
            listener.expect(EXPECTED)
            if turn % 3 == 0:
                with socket.create_connection(("127.0.0.1", port), 5) as peer:
                    peer.sendall(f"GET {GOOD} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
                    if turn % 5:
                        assert read(peer).status == 303
            listener.retire(TOO_LATE)
        listener.close()
        for thread in threads:
            thread.join(2)
            assert not thread.is_alive()

    def test_s12_an_attempt_that_is_about_to_end_is_waited_for(self, served: Served) -> None:
        threading.Timer(0.3, lambda: served.listener.retire(TOO_LATE)).start()
        MAKER.bind(RedirectProfile(port="fixed", ports=(served.port,)), setting_port=0).close()

    def test_a_late_answer_to_the_next_attempt_is_not_used(self, served: Served) -> None:
        served.listener.retire(TOO_LATE)
        profile = RedirectProfile(port="fixed", ports=(served.port,))
        with serving(profile, expect=False) as following:
            following.listener.expect(Expectation(Secret("another-state-" + "y" * 16)))
            answer = following.get(GOOD)
            assert answer.status == 400
            assert "This belongs to another sign-in" in answer.body
            with pytest.raises(SignInEnded):
                following.wait(0.01)

    @pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
    def test_s12_another_process_gets_the_port(self, host: str) -> None:
        # Another process has another Loopback, and nothing else in common with this one.
        elsewhere = Loopback(lambda: NOW, entropy, resources())
        with serving(RedirectProfile(host=host, port="any")) as served:
            profile = RedirectProfile(port="fixed", ports=(served.port,))
            with pytest.raises(SettingWrong):  # a live attempt does not give way
                elsewhere.bind(profile, setting_port=0)
            still_open = served.send(served.request(GOOD).replace(b"127.0.0.1", host.encode()))
            assert still_open.status == 303
            served.listener.retire(TOO_LATE)
            elsewhere.bind(profile, setting_port=0).close()
            served.thread.join(2)
            assert not served.thread.is_alive()

    def test_no_one_else_is_asked_for_long(self) -> None:
        with _squat("127.0.0.1") as silent:
            begun = time.monotonic()
            assert not ask_to_give_way(silent.getsockname()[1])
            assert time.monotonic() - begun < 2


def _waits_of(thread: threading.Thread) -> int:
    """How often the thread has gone to sleep."""
    status = Path(f"/proc/self/task/{thread.native_id}/status").read_text()
    return int(status.partition("\nvoluntary_ctxt_switches:")[2].split()[0])


class TestPage:
    HOSTILE = (
        "<script>alert(1)</script>",
        "\r\nSet-Cookie: a=b\r\n\r\n<html>",
        "\u202egnp.exe",
        "\x1b[31mred",
        '"onload="x',
    )

    @pytest.mark.parametrize("text", HOSTILE)
    def test_s23_peer_text_is_never_shown(self, served: Served, text: str) -> None:
        target = f"/callback?error={quote(text)}&error_description={quote(text)}"
        refused = served.get(target)
        assert text not in refused.body
        assert "set-cookie" not in refused.headers
        answer = served.get(f"{target}&state={STATE}&iss=https://id.example")
        assert answer.status == 303
        served.listener.conclude(Outcome(False, "Declined", "Start again."))
        page = served.get(answer.headers["location"])
        assert text not in page.body
        assert quote(text) not in page.body

    def test_s23_a_megabyte_of_description(self, served: Served) -> None:
        with socket.create_connection(("127.0.0.1", served.port), 5) as peer:
            with contextlib.suppress(OSError):
                peer.sendall(served.request("/callback?error_description=" + "x" * 1_000_000))
            answer = read(peer)
        assert answer.status == 431
        assert "xxx" not in answer.body

    @pytest.mark.parametrize("text", HOSTILE)
    def test_s23_an_outcome_is_escaped_all_the_same(self, served: Served, text: str) -> None:
        location = served.get(GOOD).headers["location"]
        served.listener.conclude(Outcome(True, text, text))
        page = served.get(location)
        assert page.status == 200
        assert text not in page.body
        assert page.body.count("<script") == 1  # the page's own, which the policy names by its digest

    @pytest.mark.parametrize("target", ["/", GOOD, "/callback", "finished"])
    def test_s23_headers(self, served: Served, target: str) -> None:
        if target == "finished":
            target = served.get(GOOD).headers["location"]
            served.listener.conclude(DONE)
        headers = served.get(target).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "style-src 'sha256-" in policy
        assert "script-src 'sha256-" in policy
        assert "unsafe" not in policy
        for directive in ("frame-ancestors 'none'", "base-uri 'none'", "form-action 'none'"):
            assert directive in policy
        assert headers["cache-control"] == "no-store"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-content-type-options"] == "nosniff"


class TestWaiting:
    @pytest.mark.parametrize("moment", ["before", "while"])
    def test_cancel_within_a_fifth_of_a_second(self, served: Served, moment: str) -> None:
        cancel = threading.Event()
        ended: list[float] = []

        def waiter() -> None:
            with pytest.raises(SignInEnded) as caught:
                served.listener.wait(deadline=timedelta(minutes=5), cancel=cancel)
            assert caught.value.code == "cancelled"
            ended.append(time.monotonic())

        if moment == "before":
            cancel.set()
        thread = threading.Thread(target=waiter)
        begun = time.monotonic()
        thread.start()
        if moment == "while":
            time.sleep(0.15)
            begun = time.monotonic()
            cancel.set()
        thread.join(2)
        assert ended[0] - begun < 0.2 + 0.1  # the tenth is for a busy machine
        with pytest.raises(SignInEnded):
            served.wait(0)

    def test_a_stopped_listener_ends_the_wait(self, served: Served) -> None:
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(served.wait, 60)
            time.sleep(0.1)
            served.listener.close()
            assert isinstance(waiting.exception(1), SignInEnded)

    def test_nobody_waits_for_a_page_before_a_browser_came(self, served: Served) -> None:
        assert served.listener.concluded(0)

    def test_concluded_gives_up(self, served: Served) -> None:
        served.get(GOOD)
        begun = time.monotonic()
        assert not served.listener.concluded(0.2)
        assert time.monotonic() - begun < 1

    def test_one_thread_serves(self, served: Served) -> None:
        with pytest.raises(RuntimeError):
            served.listener.serve()


class TestPasting:
    def test_an_address(self, served: Served) -> None:
        with pytest.raises(PeerFault):
            served.listener.paste(f"http://127.0.0.1:{served.port}/callback?code=c&state=other")
        served.listener.paste(f"http://127.0.0.1:{served.port}{GOOD}")
        callback = served.wait(1)
        assert callback.params["code"] == "c0de"
        assert callback.state_checked
        assert served.listener.concluded(0)  # no browser waits for a page
        assert served.get(GOOD).status == 303  # to the page that shows how the sign-in ends
        with pytest.raises(Usage):
            served.listener.paste(f"http://127.0.0.1:{served.port}{GOOD}")

    def test_an_address_elsewhere_takes_no_port(self) -> None:
        uri = "https://console.example/code"
        listener = MAKER.bind(RedirectProfile(uri=uri, paste="code#state"), setting_port=free_port())
        assert listener.redirect_uri == uri
        with pytest.raises(Usage):
            listener.paste("c0de#too-early")
        listener.expect(Expectation(Secret(STATE)))
        with ThreadPoolExecutor(1) as pool:
            serving_thread = pool.submit(listener.serve)
            listener.paste(f"c0de#{STATE}")
            callback = listener.wait(deadline=timedelta(seconds=1), cancel=threading.Event())
            assert callback.params["state"] == STATE
            listener.retire(TOO_LATE)  # no port, so no page for a late browser
            serving_thread.result(1)

    def test_a_bare_code_is_told_apart(self) -> None:
        listener = MAKER.bind(RedirectProfile(uri="urn:ietf:wg:oauth:2.0:oob", paste="code"), setting_port=0)
        listener.expect(Expectation(Secret(STATE)))
        listener.paste("c0de")
        callback = listener.wait(deadline=timedelta(seconds=1), cancel=threading.Event())
        assert not callback.state_checked
        listener.close()


def _squat(address: str, port: int = 0, options: tuple[int, ...] = ()) -> socket.socket:
    squatter = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET)
    try:
        for option in options:
            squatter.setsockopt(socket.SOL_SOCKET, option, 1)
        squatter.bind((address, port))
        squatter.listen()
    except OSError:
        squatter.close()
        raise
    return squatter


def _ipv6() -> bool:
    try:
        _squat("::1").close()
    except OSError:
        return False
    return True


def _own_address() -> str | None:
    """An address of this machine that is not loopback, None where it has none. Nothing is sent."""
    probes: tuple[Callable[[], str], ...] = (
        lambda: str(_routed("192.0.2.1")),
        lambda: socket.gethostbyname(socket.gethostname()),
    )
    for probe in probes:
        with contextlib.suppress(OSError):
            address = probe()
            if not address.startswith(("127.", "0.")):
                return address
    return None


def _routed(target: str) -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((target, 9))
        return str(probe.getsockname()[0])
