"""The settings file: whole or not at all, and every fault names its key."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from keyfob.adapters.store.settings_file import CAUTIOUS, SettingsFile
from keyfob.core.errors import SettingWrong
from keyfob.core.settings import Settings


@pytest.fixture
def file(tmp_path: Path) -> SettingsFile:
    return SettingsFile(tmp_path / "settings.json")


def test_no_file_means_the_defaults_and_makes_none(file: SettingsFile) -> None:
    assert file.load() == Settings()
    assert not file.path.exists()


def test_what_is_saved_is_loaded_by_another(file: SettingsFile) -> None:
    wanted = replace(Settings(), theme="dark", callback_port=9999, renewal_margin=60, start_at_login=True)
    file.save(wanted)
    assert SettingsFile(file.path).load() == wanted
    assert stat.S_IMODE(file.path.stat().st_mode) == 0o600


def test_keys_that_are_not_known_are_kept(file: SettingsFile) -> None:
    file.path.write_text(json.dumps({"from_the_future": [1, 2], "theme": "light"}))
    file.save(replace(file.load(), theme="dark"))
    assert json.loads(file.path.read_text())["from_the_future"] == [1, 2]
    assert file.load().theme == "dark"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("theme", "pink"),
        ("callback_port", 80),
        ("callback_port", "9876"),
        ("callback_port", True),
        ("renewal_margin", 5),
        ("renewal_margin", 600.5),
        ("vault", "plaintext"),
        ("close_to_tray", "yes"),
    ],
)
def test_a_wrong_value_is_named_and_the_file_stays(file: SettingsFile, key: str, value: object) -> None:
    text = json.dumps({key: value})
    file.path.write_text(text)
    with pytest.raises(SettingWrong, match=key) as caught:
        file.load()
    assert caught.value.code == "settings_file_faulty"
    assert caught.value.facts == {"path": str(file.path)}
    assert file.path.read_text() == text


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"x"', "[" * 100_000, "\xff"])
def test_s78_a_file_that_is_no_object_is_an_error_and_no_save_replaces_it(
    file: SettingsFile, text: str
) -> None:
    file.path.write_bytes(text.encode("latin-1"))
    with pytest.raises(SettingWrong) as caught:
        file.load()
    assert caught.value.code == "settings_file_faulty"
    with pytest.raises(SettingWrong) as caught:
        file.save(Settings())
    assert caught.value.facts == {"path": str(file.path)}
    assert file.path.read_bytes() == text.encode("latin-1")
    assert [each.name for each in file.path.parent.iterdir()] == ["settings.json"]


def test_s78_a_fault_names_its_line(file: SettingsFile) -> None:
    file.path.write_text('{\n "vault": "sealed",\n "theme": "drak"\n}')
    with pytest.raises(SettingWrong, match=r"theme must .*\(settings.json, line 3\)"):
        file.load()
    file.path.write_text('{\n "vault": "sealed"\n "theme": "dark"}')
    with pytest.raises(SettingWrong, match=r"not JSON \(settings.json, line 3, column 2\)"):
        file.load()


def test_s78_what_holds_while_the_file_is_faulty(
    file: SettingsFile, caplog: pytest.LogCaptureFixture
) -> None:
    """Before any could be read, programs are asked about; afterwards Keyfob keeps the last valid settings."""
    file.path.write_text("{")
    assert file.current() == CAUTIOUS
    assert CAUTIOUS.named_app_consent
    file.path.write_text('{"vault": "sealed", "named_app_consent": false}')
    good = file.current()
    assert (good.vault, good.named_app_consent) == ("sealed", False)
    for text in ("", '{"vault": "seald"}', '{"first_start_done": "no"}', '{"close_to_tray": 1}'):
        file.path.write_text(text)
        assert file.current() == good
    assert "Keyfob keeps the last valid settings" in caplog.text
    file.path.unlink()
    assert file.current() == good
    file.path.write_text('{"named_app_consent": true}')
    assert file.current() == replace(Settings(), named_app_consent=True)


def test_s78_a_save_writes_what_was_changed_and_nothing_else(file: SettingsFile) -> None:
    """A window that has been open for a while does not undo what was written into the file meanwhile."""
    seen = file.load()
    file.path.write_text('{"named_app_consent": true, "from_the_future": 1}')
    file.save(replace(seen, theme="dark"), seen)
    assert json.loads(file.path.read_text()) == {
        "named_app_consent": True, "from_the_future": 1, "theme": "dark",
    }  # fmt: skip


def test_s78_a_save_mends_the_value_it_changes_and_no_other(file: SettingsFile) -> None:
    file.path.write_text('{"theme": "drak"}')
    with pytest.raises(SettingWrong, match="theme"):
        file.save(replace(Settings(), callback_port=5000), Settings())
    assert file.path.read_text() == '{"theme": "drak"}'
    file.save(replace(Settings(), theme="dark"), Settings())
    assert file.load().theme == "dark"


def test_wrong_settings_are_never_saved(file: SettingsFile) -> None:
    file.save(Settings())
    with pytest.raises(SettingWrong):
        file.save(replace(Settings(), callback_port=0))
    assert file.load() == Settings()


def test_a_full_disk_leaves_the_old_file(file: SettingsFile, monkeypatch: pytest.MonkeyPatch) -> None:
    file.save(replace(Settings(), theme="light"))

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SettingWrong, match="No space left"):
        file.save(replace(Settings(), theme="dark"))
    assert file.load().theme == "light"
