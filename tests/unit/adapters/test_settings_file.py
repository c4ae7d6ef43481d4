"""The settings file: whole or not at all, and every fault names its key."""

from __future__ import annotations

import json
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from keyfob.adapters.settings_file import SettingsFile
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
    assert caught.value.code == "setting_faulty"
    assert str(file.path) in caught.value.remedy
    assert file.path.read_text() == text


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '"x"', "[" * 100_000, "\xff"])
def test_a_file_that_is_no_object_is_told_and_a_save_mends_it(file: SettingsFile, text: str) -> None:
    file.path.write_bytes(text.encode("latin-1"))
    with pytest.raises(SettingWrong) as caught:
        file.load()
    assert caught.value.code == "setting_faulty"
    file.save(Settings())
    assert file.load() == Settings()


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
