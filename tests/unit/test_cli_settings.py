"""`keyfob settings` over a real settings file, and the remedies that a terminal shows."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest

from keyfob.adapters.system.autostart import Autostart
from keyfob.agent.remedies import REMEDIES
from keyfob.cli.settings import SETTINGS
from keyfob.core.errors import SettingWrong
from keyfob.core.settings import Settings
from keyfob.engine import Engine, build
from keyfob.service.doctor import Finding
from support.cli_run import opens, run
from support.fake_ports import fake_ports
from support.running import Ran
from support.sample_engine import add_accounts
from support.samples import sample_views

NOT_IN_DIALOG = {"first_start_done", "connect_note_hidden"}  # what the window remembers for itself


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "xdg"))
    monkeypatch.setenv("HOME", str(tmp_path))
    return build(fake_ports(tmp_path, autostart=Autostart()))


def call(engine: Engine, *argv: str) -> Ran:
    return run(["settings", *argv], opens(engine))


def on_disk(engine: Engine) -> Any:
    return json.loads(engine.settings.path.read_text()) if engine.settings.path.exists() else None


def test_every_setting_is_there() -> None:
    assert set(SETTINGS) == set(Settings().to_mapping()) - NOT_IN_DIALOG


def test_the_list_aligns_and_marks_what_is_not_the_default(engine: Engine) -> None:
    engine.settings.path.write_text('{"callback_port": 9877, "close_to_tray": false}')
    expected = """\
KEY                VALUE     MEANING
start_at_login     false     Start the app when you log in.
close_to_tray      false *   When you close the window, Keyfob stays in the tray. Default: true.
theme              system    The colors of the window: system, light or dark.
callback_port      9877 *    The port that the browser comes back to, 1024 to 65535. Default: 9876.
renewal_margin     600       How long before its end a token is renewed, in seconds, 30 to 86400.
vault              keychain  Where tokens are kept: keychain, sealed (an encrypted file) or pass (the password store).
named_app_consent  false     Ask before a program gets an account's token.
updates            true      Look for newer versions of Keyfob and of your tools, at most once a day, while the app runs.
gateway            false     Let programs use your accounts through the gateway while the app runs.
gateway_port       2026      The gateway's port, 1024 to 65535.
"""  # noqa: E501 - as it is printed
    for argv in ((), ("list",)):
        ran = call(engine, *argv)
        assert (ran.code, ran.out, ran.err) == (0, expected, "")


def test_json_keeps_the_types(engine: Engine) -> None:
    engine.settings.path.write_text('{"callback_port": 9877}')
    listed = {
        "settings": {
            "start_at_login": False,
            "close_to_tray": True,
            "theme": "system",
            "callback_port": 9877,
            "renewal_margin": 600,
            "vault": "keychain",
            "named_app_consent": False,
            "updates": True,
            "gateway": False,
            "gateway_port": 2026,
        }
    }
    for argv in (("--json",), ("list", "--json"), ("--json", "list")):
        assert json.loads(call(engine, *argv).out) == listed
    port = {"key": "callback_port", "value": 9877}
    assert json.loads(call(engine, "get", "callback_port", "--json").out) == port
    assert json.loads(call(engine, "set", "callback_port", "9877", "--json").out) == port


def test_get_prints_the_value_alone(engine: Engine) -> None:
    assert call(engine, "get", "close_to_tray").out == "true\n"
    assert call(engine, "get", "renewal_margin").out == "600\n"
    assert on_disk(engine) is None


def test_set_writes_that_key_alone(engine: Engine) -> None:
    engine.settings.path.write_text('{"from_a_newer_keyfob": [1], "theme": "dark"}')
    ran = call(engine, "set", "callback_port", "9877")
    assert (ran.code, ran.out, ran.err) == (0, "callback_port is 9877.\n", "")
    assert on_disk(engine) == {"from_a_newer_keyfob": [1], "theme": "dark", "callback_port": 9877}


@pytest.mark.parametrize(
    ("word", "value"),
    [("true", True), ("ON", True), ("yes", True), ("false", False), ("off", False), ("No", False)],
)
def test_switches_take_the_usual_words(engine: Engine, word: str, value: bool) -> None:
    engine.settings.save(Settings(named_app_consent=not value))
    assert (
        call(engine, "set", "named_app_consent", word).out == f"named_app_consent is {str(value).lower()}.\n"
    )
    assert on_disk(engine)["named_app_consent"] is value


def test_set_says_what_waits_for_the_next_start(engine: Engine) -> None:
    next_app = "Restart the app to use it."
    assert call(engine, "set", "theme", "dark").out == f"theme is dark. {next_app}\n"
    assert call(engine, "set", "theme", "dark").out == "theme is dark.\n", "nothing has changed"
    ran = call(engine, "set", "vault", "sealed")
    assert ran.out == "vault is sealed. Restart the app or the agent to use it.\n"
    assert ran.err == "", "no account, nothing to ask"


def test_start_at_login_writes_the_login_entry(engine: Engine, tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("another entry on this system")
    entry = tmp_path / "xdg" / "autostart" / "keyfob.desktop"
    assert call(engine, "set", "start_at_login", "on").code == 0
    assert entry.is_file()
    assert call(engine, "set", "start_at_login", "off").code == 0
    assert not entry.exists()


SETTING_NAMES = ", ".join(SETTINGS)


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (
            ("get", "calback_port"),
            ("'calback_port' is not a setting. Did you mean 'callback_port'? The settings are "
             f"{SETTING_NAMES}."),
        ),
        (("set", "zzz", "1"), f"'zzz' is not a setting. The settings are {SETTING_NAMES}."),
        (("get", "first_start_done"), ("'first_start_done' is not a setting. The settings are "
                                       f"{SETTING_NAMES}.")),
        (
            ("set", "theme", "drak"),
            "The setting theme cannot be 'drak'. Did you mean 'dark'? It takes system, light, dark.",
        ),
        (
            ("set", "close_to_tray", "1"),
            "The setting close_to_tray cannot be '1'. It takes true, on, yes, false, off, no.",
        ),
        *(
            (
                ("set", "callback_port", value),
                "The setting callback_port must be a whole number from 1024 to 65535. "
                "Example: keyfob settings set callback_port 9876",
            )
            for value in ("80", "x", "9876.5", "9" * 5000, "٩٨٧٦", "")
        ),
    ],
)  # fmt: skip
def test_an_unknown_key_or_value_is_exit_2_with_what_is_allowed(
    engine: Engine, argv: tuple[str, ...], line: str
) -> None:
    ran = call(engine, *argv)
    assert (ran.code, ran.out, ran.err) == (2, "", f"keyfob: {line}\n")
    ran = call(engine, *argv, "--json")
    assert (ran.code, ran.out, json.loads(ran.err)["code"]) == (2, "", "usage")
    assert on_disk(engine) is None


@pytest.mark.parametrize("argv", [(), ("get", "theme"), ("set", "theme", "dark")])
@pytest.mark.parametrize("text", ["{", '{"callback_port": 80}'])
def test_s78_a_faulty_file_is_exit_8_and_stays(engine: Engine, text: str, argv: tuple[str, ...]) -> None:
    engine.settings.path.write_text(text)
    ran = call(engine, *argv)
    assert (ran.code, ran.out) == (8, "")
    assert str(engine.settings.path) in ran.err
    assert engine.settings.path.read_text() == text


def test_another_vault_is_asked_about_while_there_are_accounts(engine: Engine) -> None:
    add_accounts(engine, sample_views()[:1])
    meaning = (
        "Your tokens stay in the old place (keychain). The new place does not have them. Afterwards, sign "
        "in again with `keyfob reconnect`, or change back with: keyfob settings set vault keychain\n"
    )
    ran = call(engine, "set", "vault", "sealed")
    refused = "keyfob: Keyfob did not change the vault, because you have accounts. Add --yes to change it.\n"
    assert (ran.code, ran.out, ran.err) == (2, "", meaning + refused)
    assert on_disk(engine) is None
    assert call(engine, "set", "vault", "keychain").err == "", "no change, no question"
    ran = call(engine, "set", "vault", "sealed", "--yes")
    assert (ran.code, ran.err) == (0, meaning)
    assert on_disk(engine)["vault"] == "sealed"


def test_the_answer_no_changes_nothing(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    add_accounts(engine, sample_views()[:1])
    for answer, code in ((False, 6), (True, 0)):
        monkeypatch.setattr(
            "keyfob.cli.settings.sys", SimpleNamespace(stdin=SimpleNamespace(isatty=lambda: True))
        )
        monkeypatch.setattr("click.confirm", Mock(return_value=answer))
        assert call(engine, "set", "vault", "pass").code == code
    assert on_disk(engine)["vault"] == "pass"


def test_completion_knows_keys_and_choices(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def complete(line: str) -> set[str]:
        monkeypatch.setenv("_KEYFOB_COMPLETE", "bash_complete")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
        return {entry.partition(",")[2] for entry in run([], opens(engine)).out.splitlines()}

    assert complete("keyfob settings get ") == set(SETTINGS)
    assert complete("keyfob settings set ren") == {"renewal_margin"}
    assert complete("keyfob settings set theme ") == {"system", "light", "dark"}
    assert complete("keyfob settings set vault s") == {"sealed"}
    assert complete("keyfob settings set close_to_tray o") == {"on", "off"}
    assert complete("keyfob settings set callback_port ") <= {""}


def test_a_remedy_names_a_command_that_exists(engine: Engine) -> None:
    for here in REMEDIES.values():
        for key, value in re.findall(r"`keyfob settings set (\S+) (\S+)`", here):
            assert call(engine, "set", key, value).code == 0


def test_errors_and_doctor_name_the_command(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def taken() -> Settings:
        raise SettingWrong("The port 9876 is taken", code="port_taken")

    monkeypatch.setattr(engine.settings, "load", taken)
    said = "set another callback port: `keyfob settings set callback_port 9877`."
    assert said in call(engine).err
    assert said in json.loads(call(engine, "--json").err)["remedy"]
    finding = Finding("callback_port", False, "The port 9876 is taken", "fail", "port_taken")
    checked = build(fake_ports(tmp_path, checks=[("callback_port", lambda: finding)]))
    assert said in run(["doctor"], opens(checked)).out
