"""Signing in with everything real but the keychain: the demo provider,
the loopback listener, the sqlite store.
"""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from keyfob.adapters.vault.memory import MemoryVault
from keyfob.agent.remedies import REMEDIES
from keyfob.core.errors import KeychainError, KeyfobError, PeerFault, SettingWrong, SignInEnded, Usage
from keyfob.core.provider import RedirectProfile
from keyfob.core.secret import Secret
from keyfob.demo.scripted_browser import ScriptedBrowser
from keyfob.demo.server import DemoServer
from keyfob.engine import Engine, build, system_ports
from keyfob.process.home import open_home
from keyfob.service.accounts.views import Progress, SignInRequest
from keyfob.service.sign_in.attempt import Attempt

pytestmark = pytest.mark.network


def spawn(work: Callable[[], None], name: str) -> None:
    threading.Thread(target=work, name=name, daemon=True).start()


class Stage:
    """A demo provider on a free port, an engine on a new home, and a browser made of code."""

    def __init__(self, folder: Path) -> None:
        self.home = open_home({"KEYFOB_HOME": str(folder / "home")})
        self.server = DemoServer(folder / "demo", port=0, access_lifetime=3600).start()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        presets = self.home.config / "providers"
        presets.mkdir(parents=True, exist_ok=True)
        from keyfob.core.resources import resources

        text = (
            (resources() / "demo" / "demo.toml")
            .read_text()
            .replace("http://127.0.0.1:9899", self.server.issuer)
        )
        text = text.replace('port = "setting"', f'port = "fixed"\nports = [{self.port}]')
        (presets / "demo.toml").write_text(text)
        self.vault = MemoryVault()
        self.engine: Engine = build(system_ports(self.home, vault=self.vault))
        self.stages: list[str] = []

    def port_is_free(self) -> bool:
        """Whether the next attempt gets the port now."""
        try:
            profile = RedirectProfile(port="fixed", ports=(self.port,))
            self.engine.listeners.bind(profile, setting_port=0).close()
        except SettingWrong:
            return False
        return True

    def attempt(self, person: str | None = "alice", *, allow: bool = True, **request: object) -> Attempt:
        attempt = self.engine.sign_in.begin(SignInRequest("demo", open_browser=False, **request))  # type: ignore[arg-type]

        def watch(progress: Progress) -> None:
            self.stages.append(progress.stage)
            if progress.stage == "waiting" and person is not None and progress.url is not None:
                url = progress.url.reveal()
                spawn(lambda: self.visit(url, person, allow), "browser")

        attempt.observe(watch)
        return attempt

    def visit(self, url: str, person: str, allow: bool) -> None:
        try:
            self.page = ScriptedBrowser().sign_in(url, person, allow=allow)
        except OSError:
            self.page = None

    def sign_in(self, person: str | None = "alice", *, allow: bool = True, **request: object) -> Attempt:
        attempt = self.attempt(person, allow=allow, **request)
        self.engine.sign_in.run(attempt, spawn)
        return attempt


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    yield made
    made.server.stop()
    made.engine.close()


def test_connected_as_alice_with_every_stage_told(stage: Stage) -> None:
    attempt = stage.sign_in()
    progress = attempt.progress
    assert progress.stage == "done"
    assert progress.account is not None
    assert progress.account.id == "demo/alice"
    assert progress.account.name == "Alice"
    assert list(dict.fromkeys(stage.stages)) == ["ready", "browser", "waiting", "checking", "saving", "done"]
    assert stage.port_is_free()


def test_the_browsers_last_page_tells_the_true_outcome(stage: Stage) -> None:
    stage.sign_in()
    time.sleep(0.3)
    assert stage.page is not None
    assert "Connected as Alice" in stage.page.text


def test_a_failure_after_the_callback_is_told_in_the_browser_too(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A browser that says success while the app failed is what these users were bitten by."""

    keep = stage.vault.save

    def refuse(name: str, value: Secret) -> None:
        if not name.endswith("/probe"):  # it locked itself while the person was in the browser
            raise KeychainError("locked", code="keychain_locked")
        keep(name, value)

    monkeypatch.setattr(stage.vault, "save", refuse)
    with pytest.raises(KeychainError):
        stage.sign_in()
    time.sleep(0.3)
    assert stage.page is not None
    assert "Connected" not in stage.page.text
    assert stage.engine.accounts.views() == []


def test_a_locked_keychain_is_told_before_the_browser_opens(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(name: str, value: Secret) -> None:
        raise KeychainError("locked", code="keychain_locked")

    monkeypatch.setattr(stage.vault, "save", refuse)
    with pytest.raises(KeychainError):
        stage.sign_in()
    assert "browser" not in stage.stages
    assert stage.port_is_free()


def test_the_same_person_is_recognised_not_doubled(stage: Stage) -> None:
    first = stage.sign_in().progress.account
    second = stage.sign_in()
    assert second.progress.recognised
    assert [view.id for view in stage.engine.accounts.views()] == ["demo/alice"]
    assert second.progress.account is not None
    assert first is not None
    assert second.progress.account.key == first.key


def test_another_person_is_added_beside_the_first(stage: Stage) -> None:
    stage.sign_in("alice")
    stage.sign_in("bob")
    assert [view.id for view in stage.engine.accounts.views()] == ["demo/alice", "demo/bob"]


def test_reconnecting_as_another_person_is_refused_and_harms_nothing(stage: Stage) -> None:
    stage.sign_in("alice")
    kept = stage.engine.accounts.token("demo/alice").token
    with pytest.raises(PeerFault) as caught:
        stage.sign_in("bob", account="demo/alice")
    assert caught.value.code == "subject_mismatch"
    assert stage.engine.accounts.token("demo/alice").token == kept
    assert len(stage.engine.accounts.views()) == 1
    assert stage.server.counters["revocations"] == 1  # bob's grant was given back


def test_disconnect_and_reconnect_under_the_same_id(stage: Stage) -> None:
    key = stage.sign_in().progress.account
    assert key is not None
    assert stage.engine.accounts.disconnect("demo").revoked == "yes"
    again = stage.sign_in(account="demo/alice").progress
    assert again.reconnected
    assert again.account is not None
    assert again.account.key == key.key
    assert again.account.status == "connected"
    assert stage.engine.accounts.token("demo").token


def test_not_you_revokes_and_removes_in_one_press(stage: Stage) -> None:
    attempt = stage.sign_in()
    stage.engine.sign_in.undo(attempt)
    assert stage.engine.accounts.views() == []
    assert stage.server.counters["revocations"] == 1


def test_a_person_who_declines(stage: Stage) -> None:
    with pytest.raises(SignInEnded) as caught:
        stage.sign_in(allow=False)
    assert caught.value.code == "declined"
    assert stage.engine.accounts.views() == []
    assert stage.port_is_free()


def test_a_closed_tab_ends_in_a_timeout_with_a_remedy(stage: Stage) -> None:
    with pytest.raises(SignInEnded) as caught:
        stage.sign_in(None, timeout=0.5)
    assert caught.value.code == "timed_out"
    assert REMEDIES[caught.value.code]
    assert stage.port_is_free()


@pytest.mark.parametrize("at", ["ready", "browser", "waiting", "checking"])
def test_cancelling_never_hangs_and_the_port_is_free_at_once(stage: Stage, at: str) -> None:
    attempt = stage.attempt()
    attempt.observe(lambda progress: attempt.cancel() if progress.stage == at else None)  # type: ignore[func-returns-value]
    done = threading.Event()

    def run() -> None:
        try:
            stage.engine.sign_in.run(attempt, spawn)
        except KeyfobError:
            pass
        finally:
            done.set()

    spawn(run, "attempt")
    assert done.wait(10)
    assert attempt.progress.stage == "cancelled"
    assert stage.port_is_free()
    assert stage.engine.accounts.views() == []


def test_a_late_answer_meets_a_page_and_changes_nothing(stage: Stage) -> None:
    """S-24, S-5: the person presses Allow after the time is up, and then starts again."""
    addresses: list[str] = []
    attempt = stage.attempt(None, timeout=0.2)
    attempt.observe(lambda progress: addresses.append(progress.url.reveal()) if progress.url else None)
    with pytest.raises(SignInEnded):
        stage.engine.sign_in.run(attempt, spawn)
    address = _redirect_of(addresses[0])
    before = stage.server.counters["requests"]
    page = httpx.get(address, follow_redirects=True, trust_env=False)
    assert page.status_code == 200
    assert page.url.query == b""
    assert "That was too late" in page.text
    assert stage.engine.accounts.views() == []
    assert stage.server.counters["requests"] == before
    assert stage.sign_in().progress.stage == "done"


def test_the_doctor_has_no_complaint_about_the_page_of_an_ended_sign_in(stage: Stage) -> None:
    settings = stage.engine.settings.load()
    stage.engine.settings.save(replace(settings, callback_port=stage.port), settings)
    check = dict(system_ports(stage.home, vault=stage.vault).checks)["callback_port"]
    attempt = stage.attempt(None, timeout=0.5)
    seen: list[bool] = []
    attempt.observe(lambda progress: seen.append(check().ok) if progress.stage == "waiting" else None)
    with pytest.raises(SignInEnded):
        stage.engine.sign_in.run(attempt, spawn)
    assert seen[0] is False  # one that goes on does hold the port
    assert check().ok
    assert stage.port_is_free()


def test_a_port_that_is_taken_is_told_with_who_holds_it(stage: Stage) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", stage.port))
        taken.listen()
        with pytest.raises(KeyfobError) as caught:
            stage.sign_in()
    assert caught.value.code == "fixed_port_taken"
    assert str(stage.port) in caught.value.message


def test_the_redirected_address_may_be_pasted(stage: Stage) -> None:
    attempt = stage.attempt(None)
    problems: list[str] = []

    def by_hand(progress: Progress) -> None:
        if progress.stage != "waiting" or progress.url is None:
            return
        for wrong in ("hello", f"http://127.0.0.1:{stage.port}/callback?code=a&state=b"):
            try:
                attempt.paste(wrong)
            except KeyfobError as error:
                problems.append(error.code)
        url = progress.url.reveal()
        spawn(lambda: attempt.paste(_redirect_of(url)), "paste")

    attempt.observe(by_hand)
    view = stage.engine.sign_in.run(attempt, spawn)
    assert view.id == "demo/alice"
    assert len(problems) == 2


def _redirect_of(url: str) -> str:
    """Signs in without following the last redirect: what a person copies from another machine's browser."""

    class Stopper(ScriptedBrowser):
        def _fetch(self, method: str, url: str, body: str | None, more: dict[str, str]) -> object:  # type: ignore[override]
            if "/callback?" in url:
                raise _Reached(url)
            return super()._fetch(method, url, body, more)

    try:
        Stopper().sign_in(url, "alice")
    except _Reached as reached:
        return str(reached)
    raise AssertionError("the visitor never came to the callback")


class _Reached(Exception):
    pass


def test_a_label_of_ones_own_and_a_clash(stage: Stage) -> None:
    assert stage.sign_in(label="Work").progress.account.id == "demo/work"  # type: ignore[union-attr]
    with pytest.raises(Usage) as caught:
        stage.engine.sign_in.begin(SignInRequest("demo", label="work"))
    assert caught.value.code == "label_taken"


def test_an_unfinished_sign_in_is_told_once_after_a_restart(stage: Stage) -> None:
    attempt = stage.attempt(None)
    stopped = threading.Event()

    def crash(progress: Progress) -> None:
        if progress.stage == "waiting":
            stopped.set()

    attempt.observe(crash)
    spawn(lambda: _quietly(stage, attempt), "attempt")
    assert stopped.wait(10)
    names = stage.engine.store.names("attempt/")
    assert len(names) == 1
    left = stage.engine.store.read(names[0])
    assert stage.engine.sign_in.interrupted() == []  # it is still running
    attempt.cancel()
    time.sleep(0.5)
    stage.engine.store.write("attempt/crashed", left)
    assert stage.engine.sign_in.interrupted() == ["demo"]
    assert stage.engine.sign_in.interrupted() == []


def _quietly(stage: Stage, attempt: Attempt) -> None:
    with contextlib.suppress(KeyfobError):
        stage.engine.sign_in.run(attempt, spawn)


def test_a_device_sign_in_shows_a_code_and_ends_connected(stage: Stage) -> None:
    attempt = stage.engine.sign_in.begin(SignInRequest("demo", method="device", open_browser=False))
    codes: list[str] = []

    def watch(progress: Progress) -> None:
        if progress.stage == "code" and progress.user_code and not codes:
            codes.append(progress.user_code)
            url = progress.verification_uri_complete
            assert url is not None
            spawn(lambda: stage.visit(url, "bob", True), "phone")

    attempt.observe(watch)
    view = stage.engine.sign_in.run(attempt, spawn)
    assert view.name == "Bob"
    assert view.method == "device"
    assert codes


@pytest.mark.parametrize("at", ["checking", "saving"])
def test_what_was_received_and_is_not_kept_is_given_back(
    stage: Stage, at: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dialog that is cancelled during the exchange, and a keychain
    that refuses, leave no grant standing.
    """
    if at == "saving":
        keep = stage.vault.save

        def refuse(name: str, value: Secret) -> None:
            if not name.endswith("/probe"):
                raise KeychainError("locked", code="keychain_locked")
            keep(name, value)

        monkeypatch.setattr(stage.vault, "save", refuse)
    attempt = stage.attempt()
    exchanged = stage.engine.transport.send

    def cancel_then_send(request: object) -> object:
        answer = exchanged(request)  # type: ignore[arg-type]
        if at == "checking" and request.purpose == "token":  # type: ignore[attr-defined]
            attempt.cancel()
        return answer

    monkeypatch.setattr(stage.engine.transport, "send", cancel_then_send)
    with pytest.raises(KeyfobError):
        stage.engine.sign_in.run(attempt, spawn)
    assert stage.engine.accounts.views() == []
    assert stage.server.counters["revocations"] == 1


def test_a_sign_in_leaves_no_lock_file_behind(stage: Stage) -> None:
    stage.sign_in()
    left = [path.name for path in (stage.home.state / "locks").iterdir()]
    assert not [name for name in left if name.startswith("attempt")]
