"""The doctor's checks of the network, the providers and the tools, with the real engine over fake ports."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest

from keyfob.adapters.store.settings_file import SettingsFile
from keyfob.adapters.system.clock import now
from keyfob.adapters.system.doctor_checks import _clock, checks_of
from keyfob.adapters.vault.memory import MemoryVault
from keyfob.agent.remedies import REMEDIES
from keyfob.core.account import AccountView, Pin
from keyfob.core.errors import SettingWrong, Transient
from keyfob.core.facts import filled
from keyfob.core.finding import Finding
from keyfob.core.http import Request, Response
from keyfob.core.provider import Endpoints, Server
from keyfob.engine import Engine, build
from keyfob.process.home import open_home
from keyfob.service.doctor import ORDER
from keyfob.tools.edits import END, begin_of
from support.fake_ports import NOW, ScriptedTransport, fake_ports
from support.sample_engine import sample_engine
from support.samples import sample_views

Answer = Callable[[Request], Response]


def answers(status: int = 200) -> Answer:
    return lambda request: Response(status, {}, b"", NOW, request.url)


def checked(folder: Path, answer: Answer | None, *providers: str) -> tuple[Engine, ScriptedTransport]:
    transport = ScriptedTransport(answer)
    views = [view for view in sample_views() if view.provider in providers]
    return sample_engine(folder, views, transport=transport), transport


def found(engine: Engine) -> dict[str, Finding]:
    return {each.subject or each.name: each for each in engine.doctor.run(tray=True)}


def test_each_provider_is_asked_once_and_no_token_is_sent(tmp_path: Path) -> None:
    engine, transport = checked(tmp_path, answers(), "github", "nexusmods")
    lines = found(engine)
    assert lines["network"].text == "Online"
    assert (lines["GitHub"].level, lines["GitHub"].text) == ("ok", "Answers. aldis-k is signed in")
    assert lines["Nexus Mods"].level == "ok"
    assert len(transport.requests) == 3  # the network's check asks one of them too
    for request in transport.requests:
        assert "canary" not in f"{request.url}{request.headers}{request.body!r}"


def test_an_account_that_is_signed_out_is_a_warning_with_its_key(tmp_path: Path) -> None:
    engine, _ = checked(tmp_path, answers(), "google")
    line = found(engine)["Google"]
    assert (line.level, line.ok) == ("warn", True)
    assert line.text == "Answers, but work@example.org is signed out"
    assert line.account == "key-google-work-example.org"


def test_a_disconnected_account_is_as_its_user_wanted(tmp_path: Path) -> None:
    engine, _ = checked(tmp_path, answers(), "spotify")
    line = found(engine)["Spotify"]
    assert (line.level, line.text, line.account) == ("ok", "Answers. aldis is disconnected", None)


def test_offline_is_said_once_and_the_providers_are_skipped(tmp_path: Path) -> None:
    engine, transport = checked(tmp_path, None, "github", "nexusmods", "google", "spotify")
    lines = found(engine)
    assert (lines["network"].level, lines["network"].code) == ("fail", "network_unreachable")
    assert {lines[each].level for each in ("GitHub", "Nexus Mods", "Google", "Spotify")} == {"skip"}
    assert len(transport.requests) == 3


def test_one_provider_that_is_down_does_not_make_the_computer_offline(tmp_path: Path) -> None:
    def answer(request: Request) -> Response:
        if "github" in request.url:
            raise Transient("github.com did not answer in time", code="network_timeout")
        return answers()(request)

    engine, _ = checked(tmp_path, answer, "github", "nexusmods")
    lines = found(engine)
    assert lines["network"].level == "ok"
    assert (lines["GitHub"].level, lines["GitHub"].code) == ("fail", "network_timeout")
    assert lines["Nexus Mods"].level == "ok"


def test_a_fault_that_only_an_answer_can_have_means_online(tmp_path: Path) -> None:
    def answer(_request: Request) -> Response:
        raise SettingWrong("The certificate is not trusted", code="tls_untrusted")

    engine, _ = checked(tmp_path, answer, "github")
    lines = found(engine)
    assert lines["network"].level == "ok"
    assert (lines["GitHub"].level, lines["GitHub"].code) == ("fail", "tls_untrusted")


def test_a_provider_with_a_problem_of_its_own_is_a_warning(tmp_path: Path) -> None:
    engine, _ = checked(tmp_path, answers(503), "github")
    line = found(engine)["GitHub"]
    assert (line.level, line.text) == ("warn", "Answers with error 503")


def test_without_an_account_nothing_is_asked(tmp_path: Path) -> None:
    engine, transport = checked(tmp_path, answers())
    assert found(engine)["network"].level == "note"
    assert transport.requests == []


def test_a_provider_on_this_computer_says_nothing_of_the_network_or_the_clock(tmp_path: Path) -> None:
    engine, transport = checked(tmp_path, answers(), "github")
    (record,) = engine.store.records()
    here = "http://127.0.0.1:9000"
    server = Server(here, replace(record.account.pin.server.endpoints, token_endpoint=f"{here}/token"))
    pin = replace(record.account.pin, server=server)
    engine.store.update(
        record.account.key, lambda _: replace(record, account=replace(record.account, pin=pin))
    )
    local = "Not checked, because all of your providers are on this computer"
    lines = found(engine)
    assert (lines["network"].level, lines["network"].text) == ("note", local)
    # The preset names another server than the account's.
    assert lines["GitHub"].text == "Answers, but the preset has changed since aldis-k signed in"
    assert lines["GitHub"].facts["command"] == "keyfob reconnect github/aldis-k"
    asked = len(transport.requests)
    assert _clock(engine.store, transport).text == local
    assert len(transport.requests) == asked


def dated(stamp: str) -> ScriptedTransport:
    return ScriptedTransport(lambda request: Response(200, {"date": stamp}, b"", NOW, request.url))


def test_the_clock_is_compared_at_a_server_without_an_issuer_too(tmp_path: Path) -> None:
    engine, _ = checked(tmp_path, answers(), "github")
    transport = dated(format_datetime(now()))
    line = _clock(engine.store, transport)
    assert line.level == "ok"
    assert line.text.startswith("Matches github.com to within ")
    assert [request.url for request in transport.requests] == ["https://github.com/"]


def test_an_account_without_a_sign_in_has_the_address_of_its_api() -> None:
    assert Pin(Server(None, Endpoints()), api_base="https://api.example.org/v1").address == (
        "https://api.example.org"
    )
    assert Pin(Server(None, Endpoints())).address is None


def test_a_clock_that_is_wrong_is_a_failure_with_its_code(tmp_path: Path) -> None:
    engine, _ = checked(tmp_path, answers(), "github")
    line = _clock(engine.store, dated(format_datetime(now() + timedelta(hours=1))))
    assert (line.ok, line.code) == (False, "clock_wrong")
    assert line.text.startswith("The clock differs from github.com's by 3")


def test_the_plan_keeps_the_order_and_names_only_presets_of_ours(tmp_path: Path) -> None:
    engine, _ = checked(tmp_path, answers(), "github", "nexusmods")
    (engine.home.config / "providers").mkdir(parents=True, exist_ok=True)
    steps = engine.doctor.steps()
    order = [ORDER.index(step.name) for step in steps]
    assert order == sorted(order)
    assert [step.provider for step in steps if step.name == "provider"] == ["github", "nexusmods"]


def wire_git(engine: Engine, file: Path, text: str, *accounts: str) -> None:
    """As if `keyfob wire git` had written this file, for these accounts."""
    file.write_text(text, "utf-8")
    notes = {"git": {"files": {str(file): {"digest": "0", "existed": True, "backup": None}}, "told": {}}}
    notes["git"]["asked"] = {"accounts": accounts}
    engine.home.state.mkdir(parents=True, exist_ok=True)
    (engine.home.state / "wired.json").write_text(json.dumps(notes), "utf-8")


def ours(*lines: str) -> str:
    return "".join(f"{line}\n" for line in (begin_of("git"), *lines, END.format(tool="git")))


def on_path(folder: Path, *programs: str) -> dict[str, str]:
    """The environment of a user whose PATH has these programs alone."""
    folder.mkdir(exist_ok=True)
    for name in programs:
        (folder / name).write_text("#!/bin/sh\n")
        (folder / name).chmod(0o755)
    return {"PATH": str(folder)}


@pytest.mark.parametrize("kept", [True, False])
def test_a_tool_whose_settings_another_program_changed(tmp_path: Path, kept: bool) -> None:
    environment = on_path(tmp_path / "bin", "git-credential-keyfob")
    engine = build(fake_ports(tmp_path, environment=environment))
    assert found(engine)["tools"].level == "note"
    wire_git(engine, tmp_path / ".gitconfig", ours() if kept else "")
    line = found(engine)["tools"]
    if kept:
        assert (line.level, line.text) == ("ok", "git is ready")
    else:
        assert (line.level, line.code, line.facts) == ("warn", "setup_changed", {"name": "git"})
        assert line.text == "Another program changed the settings of git"


def test_a_tool_whose_helper_is_not_there_is_a_warning(tmp_path: Path) -> None:
    environment = on_path(tmp_path / "bin")
    engine = build(fake_ports(tmp_path, environment=environment))
    wire_git(engine, tmp_path / ".gitconfig", ours('\thelper = "keyfob"'))
    line = found(engine)["tools"]
    assert (line.level, line.code, line.facts) == ("warn", "helper_missing", {"name": "git"})
    assert line.text == "git runs git-credential-keyfob, which is not there"
    on_path(tmp_path / "bin", "git-credential-keyfob")
    assert found(engine)["tools"].level == "ok"
    gone = tmp_path / "old" / "git-credential-keyfob"
    wire_git(engine, tmp_path / ".gitconfig", ours(f'\thelper = "{gone}"'))
    assert found(engine)["tools"].text == f"git runs {gone}, which is not there"
    on_path(gone.parent, gone.name)
    assert found(engine)["tools"].level == "ok"


def test_an_account_without_the_access_that_a_tool_needs_is_a_warning(tmp_path: Path) -> None:
    environment = on_path(tmp_path / "bin", "git-credential-keyfob")
    (github,) = (view for view in sample_views() if view.provider == "github")

    def line(view: AccountView, *named: str) -> Finding:
        engine = sample_engine(tmp_path, [view], environment=environment)
        wire_git(engine, tmp_path / ".gitconfig", ours(), *named)
        return found(engine)["tools"]

    may, may_not = github.scopes, tuple(each for each in github.scopes if each != "repo")
    assert may != may_not
    assert line(replace(github, scopes=may)).level == "ok"
    lacks = line(replace(github, scopes=may_not))
    assert (lacks.ok, lacks.level, lacks.code, lacks.account) == (True, "warn", "access_lacking", github.key)
    assert lacks.text == "github/aldis-k does not have the access that git needs (repo)"
    assert lacks.public == "1 of 1 ready", "a report names no account"
    assert filled(REMEDIES["access_lacking"], lacks.facts) == (
        "Ask for it: run `keyfob reconnect github/aldis-k --access repo`."
    )
    assert line(replace(github, scopes=may_not), github.key).code == "access_lacking"
    assert line(replace(github, scopes=may_not), "another").level == "ok", "git was set up without it"
    signed_out = replace(github, scopes=may_not, status="needs_sign_in")
    assert line(signed_out).level == "ok", "it has to be signed in first"


Standing = Mapping[str, Any] | None


def of_this_computer(folder: Path, settings: str, agent: Callable[[], Standing]) -> dict[str, Finding]:
    """The checks of the real adapters that need neither the network nor a keychain."""
    home = open_home({"KEYFOB_HOME": str(folder / "home")})
    (home.config / "settings.json").write_text(settings, "utf-8")
    ports = fake_ports(folder)
    checks = checks_of(
        home,
        SettingsFile(home.config / "settings.json"),
        MemoryVault(),
        ports.store,
        ports.presets,
        ScriptedTransport(None),
        lambda: agent() and {"home": home.id, **(agent() or {})},
    )
    names = ("keychain", "settings", "agent", "consent", "log")
    return {name: replace(check(), name=name) for name, check in checks if name in names}


RUNNING = {
    "version": "1.2", "pid": 4711, "window": False, "vault": "keychain", "vault_open": True, "locked": False,
}  # fmt: skip


def test_settings_that_this_version_does_not_know_are_named(tmp_path: Path) -> None:
    lines = of_this_computer(tmp_path, '{"theme": "dark", "zzz": 1, "yyy": 2}', lambda: None)
    line = lines["settings"]
    assert (line.level, line.ok, line.code) == ("warn", True, "setting_faulty")
    assert line.text == "Settings are valid. This version does not know zzz, yyy"
    assert of_this_computer(tmp_path, '{"theme": "dark"}', lambda: None)["settings"].level == "ok"


def test_the_log_is_named(tmp_path: Path) -> None:
    line = of_this_computer(tmp_path, "{}", lambda: None)["log"]
    assert line.text == f"In {tmp_path}/home/log/keyfob.log"
    assert line.public == "", "a report has no path"


@pytest.mark.parametrize(
    ("settings", "agent", "level"),
    [
        ("{}", None, "ok"),
        ('{"named_app_consent": true}', None, "note"),
        ('{"named_app_consent": true}', RUNNING, "warn"),
        ('{"named_app_consent": true}', RUNNING | {"window": True}, "ok"),
    ],
)
def test_consent_without_a_window_is_a_warning(
    tmp_path: Path, settings: str, agent: Standing, level: str
) -> None:
    line = of_this_computer(tmp_path, settings, lambda: agent)["consent"]
    assert (line.level, line.ok) == (level, True)


@pytest.mark.parametrize(
    ("agent", "level", "text"),
    [
        (None, "note", "Not running; commands work without it"),
        (RUNNING, "ok", "Running (version 1.2, process 4711)"),
        (RUNNING | {"window": True}, "ok", "The app (version 1.2, process 4711)"),
        (RUNNING | {"locked": True}, "warn", "Locked. Tools get no tokens"),
    ],
)
def test_the_agent_says_how_it_stands(tmp_path: Path, agent: Standing, level: str, text: str) -> None:
    line = of_this_computer(tmp_path, "{}", lambda: agent)["agent"]
    assert (line.level, line.text) == (level, text)


def test_an_agent_that_does_not_answer_is_a_failure(tmp_path: Path) -> None:
    def silent() -> Standing:
        raise Transient("The agent does not answer", code="agent_silent")

    with pytest.raises(Transient):  # the doctor makes a failing line of it
        of_this_computer(tmp_path, "{}", silent)
