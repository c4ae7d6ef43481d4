"""What is deleted from a keychain at the end: what it lists, or what the account store knows."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest

from keyfob.core.errors import KeychainError
from keyfob.core.secret import Secret
from keyfob.service.accounts.keychain_entries import Undeleted
from support.fake_ports import FakeVault
from support.rig import Rig


class Unlisted(FakeVault):
    """As macOS and Windows: entries are found by their names alone."""

    def names(self) -> None:  # type: ignore[override]
        return None


def rig_with(tmp_path: Path, vault: FakeVault) -> Rig:
    rig = Rig(tmp_path, vault=vault)
    rig.connect()
    rig.engine.client_keys.generate(provider="example")
    return rig


def test_a_keychain_that_cannot_list_is_emptied_by_what_the_store_knows(tmp_path: Path) -> None:
    vault = Unlisted()
    rig = rig_with(tmp_path, vault)
    assert sorted(rig.engine.keychain_entries.found()) == sorted(vault.entries)
    assert rig.engine.keychain_entries.delete_all() == []
    assert vault.entries == {}


def test_one_that_lists_is_emptied_of_all_that_is_there(tmp_path: Path) -> None:
    vault = FakeVault()
    rig = rig_with(tmp_path, vault)
    vault.save("unknown/a", Secret("x"))
    assert "unknown/a" in rig.engine.keychain_entries.found()
    assert rig.engine.keychain_entries.delete_all() == []
    assert vault.entries == {}


def test_what_stays_is_told_with_its_reason(tmp_path: Path) -> None:
    class Keeps(FakeVault):
        def delete(self, name: str) -> None:
            if name == "one/a":
                raise KeychainError("The keychain refused", code="keychain_refused")
            if name == "two/a":
                self.emptied.add(name)  # as KeePassXC, which would ask the user
                return
            if name != "three/a":
                super().delete(name)

        emptied: ClassVar[set[str]] = set()

        def load(self, name: str) -> Secret | None:
            return None if name in self.emptied else super().load(name)

    vault = Keeps()
    rig = rig_with(tmp_path, vault)
    for name in ("one/a", "two/a", "three/a"):
        vault.save(name, Secret("x"))
    left = {each.name: each for each in rig.engine.keychain_entries.delete_all()}
    assert sorted(left) == ["one/a", "three/a", "two/a"]
    assert left["two/a"] == Undeleted("two/a", None)
    codes = [left[name].error.code for name in ("one/a", "three/a") if left[name].error]  # type: ignore[union-attr]
    assert codes == ["keychain_refused", "keychain_write_lost"]


def test_a_locked_keychain_is_no_empty_one(tmp_path: Path) -> None:
    vault = FakeVault()
    rig = rig_with(tmp_path, vault)
    vault.error = KeychainError("The keychain is locked", code="keychain_locked")
    with pytest.raises(KeychainError):
        rig.engine.keychain_entries.delete_all()
    vault.error = None
    assert vault.entries
