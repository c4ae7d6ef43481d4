"""What `keyfob doctor` checks on this machine: keychain, callback port, browser, clock, network, agent,
files.
"""

from __future__ import annotations

import math
import os
import socket
import ssl
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies

from keyfob.adapters.loopback.handover import ask_to_give_way
from keyfob.adapters.loopback.port_holder import who_holds
from keyfob.adapters.store.settings_file import SettingsFile
from keyfob.adapters.system.browser import has_browser
from keyfob.adapters.system.clock import now
from keyfob.core.errors import KeyfobError, SettingWrong
from keyfob.core.finding import Finding
from keyfob.core.hosts import is_loopback
from keyfob.core.http import Request
from keyfob.core.text import plain
from keyfob.core.words import FindingName
from keyfob.ports import AccountStore, Transport, Vault
from keyfob.process.home import Home, socket_path
from keyfob.process.log import FILE
from keyfob.process.own_process import find_program
from keyfob.providers.catalogue import Catalogue

CLOCK_SKEW_MOST = 60  # seconds: beyond it ID tokens are refused

Check = Callable[[], Finding]
# What the agent says of itself; None if none runs, empty for one that does not say. Raises Transient.
AskAgent = Callable[[], Mapping[str, Any] | None]


def checks_of(
    home: Home,
    settings: SettingsFile,
    vault: Vault,
    store: AccountStore,
    catalogue: Catalogue,
    transport: Transport,
    agent: AskAgent,
) -> Sequence[tuple[FindingName, Check]]:
    """The checks in the order a user would look. Each ends within the deadline of what it calls. `agent`:
    what the agent says of itself.
    """
    return (
        ("keychain", lambda: _keychain(home, settings, vault, agent)),
        ("settings", lambda: _settings(settings)),
        ("store", lambda: _store(store)),
        ("presets", lambda: _presets(catalogue)),
        ("callback_port", lambda: _port(settings)),
        ("browser", _browser),
        ("clock", lambda: _clock(store, transport)),
        ("proxy", _proxy),
        ("ca", _authorities),
        ("agent", lambda: _agent(home, agent)),
        ("consent", lambda: _consent(settings, agent)),
        ("log", lambda: Finding("log", True, f"In {home.log / FILE}")),
    )


def tray_finding(tray: bool | None) -> Finding:
    """`tray` as the caller saw it; without a caller that can see, the desktop's own word."""
    if tray is None:
        if sys.platform.startswith("linux") and not (
            os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
        ):
            return Finding("tray", True, "No screen in this session", "note")
        return Finding("tray", True, "Checked when the app runs", "note")
    if tray:
        return Finding("tray", True, "This desktop has a tray")
    return Finding(
        "tray",
        True,
        "This desktop does not have a tray. If you close the window, Keyfob quits",
        "note",
        "tray_missing",
    )


def _keychain(home: Home, settings: SettingsFile, vault: Vault, agent: AskAgent) -> Finding:
    if settings.current().vault == "sealed":
        status = _of_this_home(home, agent)
        if status.get("vault_open"):
            if not _can_write(home.data):
                text = "Encrypted file: open in the agent, and nothing can be written beside it"
                return Finding("keychain", False, text, "fail", "vault_unwritable", public=text)
            text = "Encrypted file: open in the agent"
            return Finding("keychain", True, text, public=text)
        if status.get("locked"):
            return Finding("keychain", False, "The agent is locked", "fail", "agent_locked")
    health = vault.probe()
    if health.ok:
        lasting = "" if health.persistent else " (in memory: lost when Keyfob quits)"
        return Finding(
            "keychain", True, f"{health.name}: written, read and deleted{lasting}", public=health.name
        )
    text = health.message or f"{health.name} does not work"
    return Finding("keychain", False, text, "fail", health.code, health.facts)


def _can_write(folder: Path) -> bool:
    """Whether there is room for another file of the usual size here."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"\0" * 4096)
            file.flush()
            os.fsync(file.fileno())
    except OSError:
        return False
    return True


def _settings(settings: SettingsFile) -> Finding:
    settings.load()
    unknown = settings.unknown()
    if unknown:
        names = ", ".join(plain(name, 40) for name in unknown)
        text = f"Settings are valid. This version does not know {names}"
        return Finding("settings", True, text, "warn", "setting_faulty", public=f"{len(unknown)} unknown")
    return Finding("settings", True, "Settings are valid")


def _store(store: AccountStore) -> Finding:
    unread = store.unread()
    if unread:
        fault = unread[0].fault
        more = f", and {len(unread) - 1} more" if len(unread) > 1 else ""
        return Finding("store", False, f"{fault.message}{more}", "fail", fault.code, fault.facts)
    count = len(store.records())
    open_intents = len(store.intents())
    waiting = len(store.revocations())
    more = "".join(
        f", {n} {what}"
        for n, what in ((open_intents, "renewal unfinished"), (waiting, "revocation waiting"))
        if n
    )
    text = f"{count} account{'' if count == 1 else 's'}{more}"
    return Finding("store", True, text, public=text)


def _presets(catalogue: Catalogue) -> Finding:
    faults = catalogue.faults()
    if faults:
        return Finding("presets", False, faults[0].sentence(), "fail", "preset_faulty")
    text = f"{len(catalogue.ids())} providers"
    return Finding("presets", True, text, public=text)


def _port(settings: SettingsFile) -> Finding:
    try:
        port = settings.load().callback_port
    except SettingWrong:
        return Finding("callback_port", True, "Not checked: the settings cannot be read", "note")
    with socket.socket() as probe:
        if os.name != "nt":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            holder = who_holds(port)
            # A sign-in that has ended may still answer there. It gives way to the next one.
            if not ask_to_give_way(port):
                return Finding(
                    "callback_port",
                    False,
                    f"Port {port} is in use" + (f" by {holder}" if holder else ""),
                    level="fail",
                    code="port_taken",
                    public=f"port {port}",
                )
    return Finding("callback_port", True, f"127.0.0.1:{port} is free", public=f"port {port}")


def _browser() -> Finding:
    named = os.environ.get("BROWSER")
    if named:
        command = named.split(os.pathsep)[0].split(" ")[0]
        if command and find_program(command) is None:
            text = f"$BROWSER is {command}, which does not exist"
            return Finding("browser", False, text, "fail", "browser_setting_wrong")
        return Finding("browser", True, "Set by $BROWSER")
    if sys.platform.startswith("linux") and not (
        os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    ):
        return Finding("browser", True, "No screen in this session", "note", "no_screen")
    if not has_browser():
        return Finding("browser", False, "No browser was found", level="fail", code="browser_failed")
    return Finding("browser", True, "A default browser is set")


def _clock(store: AccountStore, transport: Transport) -> Finding:
    addresses = [found for record in store.records() if (found := record.account.pin.address)]
    if not addresses:
        return Finding("clock", True, "Checked after you connect an account", "note")
    # A provider on this computer has this computer's clock, so that its time proves nothing.
    outside = [each for each in addresses if not is_loopback(urlsplit(each).hostname)]
    if not outside:
        return Finding(
            "clock", True, "Not checked, because all of your providers are on this computer", "note"
        )
    host = urlsplit(outside[0]).netloc
    try:
        response = transport.send(Request("GET", f"{outside[0]}/", "discovery"))
    except KeyfobError as error:
        return Finding("clock", True, f"Not checked: {error.message}", "note")
    stamp = response.headers.get("date")
    if not stamp:
        return Finding("clock", True, f"{host} does not send the time", "note")
    skew = abs((parsedate_to_datetime(stamp) - now()).total_seconds())
    if skew > CLOCK_SKEW_MOST:
        return Finding(
            "clock",
            False,
            f"The clock differs from {host}'s by {round(skew)} s",
            "fail",
            "clock_wrong",
            public=f"{skew:.0f} s",
        )
    # The header has whole seconds, so a difference below that is not known.
    text = f"Matches {host} to within {max(math.ceil(skew), 1)} s"
    return Finding("clock", True, text, public=f"{skew:.0f} s")


def _proxy() -> Finding:
    proxies = {kind: address for kind, address in getproxies().items() if kind in ("http", "https", "all")}
    if not proxies:
        return Finding("proxy", True, "None")
    hosts = ", ".join(sorted({urlsplit(address).hostname or "?" for address in proxies.values()}))
    return Finding("proxy", True, f"Requests go through {hosts}, except to this computer")


def _authorities() -> Finding:
    file = os.environ.get("SSL_CERT_FILE")
    if file and not Path(file).is_file():
        text = f"SSL_CERT_FILE is {file}, which does not exist"
        return Finding("ca", False, text, "fail", "ca_file_faulty")
    count = len(ssl.create_default_context().get_ca_certs())
    folder = ssl.get_default_verify_paths()
    if count == 0 and not folder.capath and not file:
        return Finding("ca", False, "The system trusts no certificate authority", "fail", "ca_missing")
    return Finding("ca", True, f"From the system{', and SSL_CERT_FILE' if file else ''}")


def _consent(settings: SettingsFile, agent: AskAgent) -> Finding:
    if not settings.current().named_app_consent:
        return Finding("consent", True, "Keyfob does not ask about programs")
    try:
        status = agent() or {}
    except KeyfobError:
        status = {}
    if not status:
        return Finding("consent", True, "Keyfob does not ask, because no agent answers your tools", "note")
    if status.get("window"):
        return Finding("consent", True, "Keyfob asks you about each new program")
    text = "The agent has no window to ask you about new programs, so they get no tokens"
    return Finding("consent", True, text, "warn", "consent_refused")


def _of_this_home(home: Home, agent: AskAgent) -> Mapping[str, Any]:
    """What the agent says, if it has this home's encrypted file; else nothing."""
    try:
        status = agent() or {}
    except KeyfobError:
        return {}  # the agent's own check says so
    return status if status.get("home") == home.id and status.get("vault") == "sealed" else {}


def _agent(home: Home, agent: AskAgent) -> Finding:
    status = agent()
    if status is None:
        old = socket_path(home).exists()
        text = "Not running; it left an old socket behind" if old else "Not running; commands work without it"
        return Finding("agent", True, text, "note")
    if not status:
        return Finding("agent", True, "Running, on another machine or as an older version")
    if status["locked"]:
        return Finding("agent", True, "Locked. Tools get no tokens", "warn", "agent_locked")
    what = "The app" if status["window"] else "Running"
    text = f"{what} (version {status['version']}, process {status['pid']})"
    return Finding("agent", True, text, public=f"version {status['version']}")
