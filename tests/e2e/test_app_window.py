"""The story in the window: driven by accessible name from another process, on a real screen with a tray, a
real keychain, a real browser at a real provider.
"""

from __future__ import annotations

import re
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from keyfob.adapters.loopback.handover import ask_to_give_way
from support.app_run import Stage, Window
from support.notification_daemon import NotificationDaemon
from support.oidc_provider import OidcProvider, Person
from support.running import until
from support.session import DesktopSession

pytestmark = [
    pytest.mark.servers,
    pytest.mark.browser,
    pytest.mark.keychain,
    pytest.mark.screen,
    pytest.mark.timeout(300),
]

LIFETIME = 6  # seconds
# Seconds in which a window that is not blocked tells all it shows. A busy machine takes over one at times.
# A window that waited for a keychain would take as long as the trouble lasts, which is two lifetimes.
RESPONSIVE = 3.0


@pytest.fixture
def session() -> Iterator[DesktopSession]:
    with DesktopSession() as made:
        made.start_screen()
        yield made


@pytest.fixture
def server() -> Iterator[OidcProvider]:
    with OidcProvider(ACCESS_TTL=str(LIFETIME)) as made:
        yield made


@pytest.fixture
def stage(tmp_path: Path, session: DesktopSession, server: OidcProvider) -> Iterator[Stage]:
    with Stage(tmp_path, session, server.issuer) as made:
        made.add("acme")
        yield made


def xdotool(stage: Stage, *arguments: str) -> str:
    return subprocess.run(
        ["xdotool", *arguments], env=stage.session.env, check=True, capture_output=True, text=True, timeout=20
    ).stdout


def press_tray_icon(stage: Stage) -> None:
    """The tray is the panel's right end, at the screen's bottom; Keyfob's icon is the only one in it."""
    width, height = xdotool(stage, "getdisplaygeometry").split()
    xdotool(stage, "mousemove", str(int(width) - 15), str(int(height) - 15), "click", "1")


def close_window(stage: Stage) -> None:
    """As the person does with the cross in the title bar; again, if the
    window manager was not ready for the key.
    """
    for _ in range(3):
        found = xdotool(stage, "search", "--onlyvisible", "--sync", "--name", "^Keyfob$").split()
        xdotool(stage, "windowactivate", "--sync", found[-1])
        xdotool(stage, "key", "--clearmodifiers", "alt+F4")
        end = time.monotonic() + 3
        while time.monotonic() < end:
            if not _is_visible(stage):
                return
            time.sleep(0.1)


def _is_visible(stage: Stage) -> bool:
    looked = subprocess.run(
        ["xdotool", "search", "--onlyvisible", "--name", "^Keyfob$"],
        env=stage.session.env, capture_output=True, timeout=20, check=False,
    )  # fmt: skip
    return bool(looked.stdout.split())


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def sign_in(window: Window, provider: str = "acme") -> None:
    """From the dialog's gallery to the account in the list."""
    window.type("Search providers", provider)
    window.select(name=provider, window="Connect Account")
    window.press("Continue", window="Connect Account")
    window.find(name="Connected as Alice", window="Connect Account", seconds=60)
    window.press("Done", window="Connect Account")
    window.gone(role="dialog", name="Connect Account")


def renewals(server: OidcProvider) -> int:
    return server.counts().get("grant refresh_token", 0)


def kinds(stage: Stage) -> list[str]:
    return [event["kind"] for event in stage.run("events", "--json").json["events"]]


def test_the_story(stage: Stage, server: OidcProvider) -> None:
    with stage.window(**stage.browser("alice")) as window:
        # A first start offers to connect.
        window.find(role="dialog", name="Connect Account")
        sign_in(window)
        assert stage.read_browser() == "Connected as Alice"
        heard = window.heard("Connected as Alice")
        assert heard.index("Waiting for you") < heard.index("Check who signed in")
        window.row("acme/alice", "connected")
        window.shot("connected")

        # Silent renewals over several lifetimes; what a command asks for in between is always valid.
        seen = renewals(server)
        until(lambda: renewals(server) >= seen + 3, "three silent renewals", seconds=LIFETIME * 5)
        window.row("acme/alice", "connected")
        window.press("Test connection")
        window.heard("It works: signed in as Alice")
        assert stage.run("token", "acme").code == 0

    # A restart: still signed in, and renewed from there.
    with stage.window(**stage.browser("alice")) as window:
        window.row("acme/alice", "connected")
        assert not window.there(role="dialog")
        seen = renewals(server)
        until(lambda: renewals(server) >= seen + 2, "renewals after the restart", seconds=LIFETIME * 4)

        # Revoked at the server: it is said, once.
        server.revoke("alice")
        window.row("acme/alice", "needs_sign_in", seconds=LIFETIME * 3)
        window.heard("Alice: Needs you.")
        window.shot("needs-sign-in")
        time.sleep(LIFETIME)
        assert kinds(stage).count("needs_sign_in") == 1
        asked = server.counts()["/token"]
        time.sleep(LIFETIME)
        assert server.counts()["/token"] == asked, "a grant that has ended is not tried again"

        window.press("Reconnect", window="Keyfob")
        window.find(has="Alice", role="label", window="Connect Account", seconds=60)
        window.press("Done", window="Connect Account", seconds=60)
        window.row("acme/alice", "connected")

        # Disconnect asks, and the provider hears of it.
        window.press("Disconnect", window="Keyfob")
        window.press("Cancel", window="Disconnect Alice?")
        window.row("acme/alice", "connected")
        window.press("Disconnect", window="Keyfob")
        window.find(role="dialog", name="Disconnect Alice?")
        window.shot("disconnect")
        window.press("Disconnect", window="Disconnect Alice?")
        window.row("acme/alice", "disconnected")
        window.heard("Alice is disconnected.")
        until(lambda: server.counts().get("/token/revocation", 0) >= 1, "the revocation")
        assert stage.run("token", "acme").code == 3

        window.press("Remove", window="Keyfob")
        window.press("Remove", window="Remove Alice?")
        window.gone(role="list item", starts="acme/")
        assert stage.run("accounts", "--json").json == {"accounts": []}


def test_what_the_command_line_does_shows_in_the_window(stage: Stage) -> None:
    stage.settings(first_start_done=True)
    with stage.window() as window:
        window.gone(role="dialog")
        assert stage.run("connect", "acme", **stage.browser("alice")).code == 0
        window.row("acme/alice", "connected")
        assert stage.run("disconnect", "acme").code == 0
        window.row("acme/alice", "disconnected")
        assert stage.run("remove", "acme").code == 0
        window.gone(role="list item", starts="acme/")


def test_cancelling_frees_everything_at_once(stage: Stage) -> None:
    with stage.window(**stage.browser("nobody")) as window:
        window.type("Search providers", "acme")
        window.select(name="acme", window="Connect Account")
        window.press("Continue", window="Connect Account")
        ready = window.find(starts="Ready on 127.0.0.1:", window="Connect Account")
        port = (
            int(ready["name"].rpartition(":")[2].split()[0].rstrip(":") or 0)
            if ready["role"] == "label"
            else 0
        )
        window.press("Copy link", window="Connect Account")
        began = time.monotonic()
        window.press("Cancel", window="Connect Account")
        window.gone(name="Waiting for you", window="Connect Account", seconds=2)
        assert time.monotonic() - began < 2
        if port:
            assert ask_to_give_way(port)  # as the next sign-in does
            until(lambda: not _listens(port), "the port to be free", seconds=1)
        assert window.round_trip() < RESPONSIVE


def test_a_second_start_raises_the_first(stage: Stage) -> None:
    stage.settings(first_start_done=True)
    with stage.window() as window:
        xdotool(stage, "search", "--onlyvisible", "--name", "^Keyfob$", "windowminimize")
        second = stage.run()
        assert (second.code, second.out) == (0, "")
        assert second.seconds < 15
        until(
            lambda: xdotool(stage, "getactivewindow", "getwindowname").strip() == "Keyfob",
            "the window to be active again",
        )
        assert window.app.poll() is None


def test_close_to_tray_and_back(stage: Stage, server: OidcProvider) -> None:
    stage.settings(first_start_done=True)
    assert stage.run("connect", "acme", **stage.browser("alice")).code == 0
    with stage.window() as window:
        window.row("acme/alice", "connected")
        close_window(stage)
        window.gone(role="frame", name="Keyfob")
        assert window.app.poll() is None, "closing keeps it in the tray"
        window.shot("in-the-tray")
        seen = renewals(server)
        until(lambda: renewals(server) >= seen + 2, "renewals with the window closed", seconds=LIFETIME * 4)
        press_tray_icon(stage)
        window.find(role="frame", name="Keyfob")
        window.row("acme/alice", "connected")
        # And a second start is another way back.
        close_window(stage)
        window.gone(role="frame", name="Keyfob")
        assert stage.run().code == 0
        window.find(role="frame", name="Keyfob")


def test_a_notification_leads_to_the_sign_in_and_goes_with_its_cause(
    stage: Stage, server: OidcProvider
) -> None:
    stage.settings(first_start_done=True)
    assert stage.run("connect", "acme", **stage.browser("alice")).code == 0

    def titles() -> list[str]:
        return [each["title"] for each in daemon.shown.values()]

    with (
        NotificationDaemon(stage.session.bus_address) as daemon,
        stage.window(**stage.browser("alice")) as window,
    ):
        window.row("acme/alice", "connected")
        close_window(stage)
        until(lambda: titles() == ["Keyfob keeps running in the tray"], "the note about the tray")
        daemon.dismiss(next(iter(daemon.shown)))
        server.revoke("alice")
        until(lambda: titles() == ["Alice needs you"], "the notification", seconds=LIFETIME * 4)
        daemon.press(next(iter(daemon.shown)), "button")
        window.find(has="Alice", role="label", window="Connect Account", seconds=60)
        window.press("Done", window="Connect Account", seconds=60)
        window.row("acme/alice", "connected")

        server.revoke("alice")
        until(lambda: titles() == ["Alice needs you"], "the notification", seconds=LIFETIME * 4)
        assert stage.run("reconnect", "acme", **stage.browser("alice")).code == 0
        until(lambda: titles() == [], "the notification to go with its cause")


def test_without_a_tray_closing_ends_it(tmp_path: Path, server: OidcProvider) -> None:
    with DesktopSession() as session:
        session.start_screen(tray=False)
        with Stage(tmp_path, session, server.issuer) as stage:
            stage.settings(first_start_done=True)
            with stage.window() as window:
                window.gone(role="dialog")
                close_window(stage)
                window.app.wait(30)
                assert window.app.returncode == 0, "never hidden with no way back"


@pytest.mark.parametrize("trouble", ["locked", "hung", "killed"])
def test_the_window_stays_responsive_whatever_the_keychain_does(
    stage: Stage, server: OidcProvider, trouble: str
) -> None:
    stage.settings(first_start_done=True)
    assert stage.run("connect", "acme", **stage.browser("alice")).code == 0
    session = stage.session
    with stage.window() as window:
        window.row("acme/alice", "connected")
        match trouble:
            case "locked":
                session.lock_keyring()
            case "hung":
                session.hang_keyring()
            case "killed":
                session.kill_keyring()
        window.press("Renew now")
        worst = 0.0
        end = time.monotonic() + LIFETIME * 2
        while time.monotonic() < end:
            worst = max(worst, window.round_trip())
            time.sleep(0.2)
        assert worst < RESPONSIVE
        match trouble:
            case "locked":
                session.unlock_keyring()
            case "hung":
                session.resume_keyring()
            case "killed":
                session.start_keyring()
        window.shot(f"keychain-{trouble}")
        # Nobody was signed out by it, and all goes on by itself or at a press.
        if window.there(name="Try again"):
            window.press("Try again")
        seen = renewals(server)
        until(lambda: renewals(server) > seen, "a renewal after the keychain is back", seconds=90)
        window.row("acme/alice", "connected", seconds=30)


def test_the_demo(tmp_path: Path, session: DesktopSession) -> None:
    with Stage(tmp_path, session) as stage:
        # Its address is fixed, and the callback's is the person's
        # setting: another app may have the usual one.
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            stage.settings(callback_port=probe.getsockname()[1])
        with stage.window("demo", **stage.browser("alice")) as window:
            the_demo(stage, window)


def the_demo(stage: Stage, window: Window) -> None:
    window.find(role="dialog", name="Connect Account", seconds=30)
    window.type("Search providers", "demo")
    window.select(starts="Demo", window="Connect Account")
    window.press("Continue", window="Connect Account")
    window.find(name="Connected as Alice", window="Connect Account", seconds=60)
    window.press("Done", window="Connect Account")
    window.row("demo/alice", "connected")
    assert stage.run("test", "demo", "--json").json["name"] == "Alice"
    window.press("Renew now")
    until(lambda: "renewed" in kinds(stage), "the renewal")


def test_a_device_code_in_the_window(stage: Stage) -> None:
    """The code is shown, another device enters it at the provider, and the window says who was connected."""
    stage.add("phone", "--method", "device")
    with stage.window() as window, Person("alice") as alice:
        window.type("Search providers", "phone")
        window.select(name="phone", window="Connect Account")
        window.press("Continue", window="Connect Account")
        window.find(name="Copy code", window="Connect Account", seconds=30)
        shown = window.told("Connect Account")
        code = re.search(r"\b[A-Z]{4}-[A-Z]{4}\b", shown)
        assert code is not None, shown
        alice.visit(f"{stage.issuer}/device?user_code={code.group()}")
        window.find(name="Connected as Alice", window="Connect Account", seconds=60)
        window.press("Done", window="Connect Account")
        assert stage.account("phone")["method"] == "device"
