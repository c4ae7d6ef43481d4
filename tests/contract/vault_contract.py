"""What every vault must do, whatever keeps its secrets. A subclass gives `make(home_id)` and is collected."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from keyfob.core.errors import Fault
from keyfob.core.secret import Secret
from keyfob.ports import Vault

HOME = "1f" * 16
OTHER_HOME = "2e" * 16
Make = Callable[[str], Vault]


class VaultContract:
    """The tests. Each gets `make`: a vault for a home's id, over a store that starts empty for each test."""

    persistent = True

    @pytest.fixture
    def vault(self, make: Make) -> Vault:
        return make(HOME)

    def test_what_is_saved_is_loaded(self, vault: Vault) -> None:
        vault.save("accounts/k1/a", Secret("token-1"))
        assert vault.load("accounts/k1/a") == Secret("token-1")

    def test_what_was_never_saved_is_none(self, vault: Vault) -> None:
        assert vault.load("accounts/none/a") is None

    def test_a_save_replaces(self, vault: Vault) -> None:
        for text in ("first", "second, and longer", "3"):
            vault.save("accounts/k1/a", Secret(text))
        assert vault.load("accounts/k1/a") == Secret("3")

    def test_a_deleted_entry_is_gone(self, vault: Vault) -> None:
        vault.save("accounts/k1/a", Secret("token-1"))
        vault.save("accounts/k1/a", Secret("token-2"))
        vault.delete("accounts/k1/a")
        assert vault.load("accounts/k1/a") is None

    def test_deleting_what_is_not_there_is_no_error(self, vault: Vault) -> None:
        vault.delete("accounts/none/a")
        vault.delete("accounts/none/a")

    def test_it_lists_its_entries_or_says_that_it_cannot(self, make: Make) -> None:
        vault, other = make(HOME), make(OTHER_HOME)
        if vault.names() is None:
            return  # keyring's keychains; what is known by the account store is deleted there
        assert vault.names() == []
        for name in ("k1/a", "client/x", "k1/b"):
            vault.save(name, Secret(f"value of {name}"))
        other.save("k2/a", Secret("another home's"))
        vault.delete("k1/b")
        assert vault.names() == ["client/x", "k1/a"]

    def test_an_empty_value_is_a_value(self, vault: Vault) -> None:
        vault.save("empty", Secret(""))
        assert vault.load("empty") == Secret("")

    # S-68: any length, whatever the keychain's limit.
    @pytest.mark.parametrize("length", [1, 1_199, 1_200, 1_201, 2_560, 20_480])
    def test_values_of_any_length(self, vault: Vault, length: int) -> None:
        value = Secret("".join(chr(33 + (n * 7 + n // 90) % 94) for n in range(length)))
        vault.save("big", value)
        assert vault.load("big") == value

    def test_long_and_short_values_follow_each_other(self, vault: Vault) -> None:
        for length in (20_480, 3, 5_000, 20_480, 1_201, 0):
            vault.save("big", Secret("x" * length))
            assert vault.load("big") == Secret("x" * length)
        vault.delete("big")
        assert vault.load("big") is None

    def test_every_printable_character_comes_back(self, vault: Vault) -> None:
        value = Secret("".join(chr(code) for code in range(0x20, 0x7F)))
        vault.save("printable", value)
        assert vault.load("printable") == value

    # S-68: a line break breaks some keychains, and UTF-16 doubles in others.
    @pytest.mark.parametrize("text", ["two\nlines", "tab\t", "nul\0", "ü", "del\x7f", "\r"])
    def test_anything_but_one_line_of_ascii_is_a_fault(self, vault: Vault, text: str) -> None:
        with pytest.raises(Fault) as caught:
            vault.save("entry", Secret(text))
        assert text not in str(caught.value)
        assert vault.load("entry") is None

    @pytest.mark.parametrize("name", ["", "/", "a//b", "../a", "a/../b", "a/", "-/\n", "ä", "a b", ".hidden"])
    def test_a_name_that_is_not_one_is_a_fault(self, vault: Vault, name: str) -> None:
        for call in (vault.load, vault.delete, lambda n: vault.save(n, Secret("x"))):
            with pytest.raises(Fault):
                call(name)

    def test_names_do_not_touch_each_other(self, vault: Vault) -> None:
        names = ("a", "a/b", "a/b.a1", "a.b", "A", "ab", "accounts/k/a", "accounts/k/b")
        for name in names:
            vault.save(name, Secret(f"of {name}"))
        assert [vault.load(name) for name in names] == [Secret(f"of {name}") for name in names]
        vault.delete("a")
        assert [vault.load(name) for name in names[1:]] == [Secret(f"of {name}") for name in names[1:]]

    def test_two_homes_never_see_each_other(self, make: Make) -> None:
        mine, theirs = make(HOME), make(OTHER_HOME)
        mine.save("accounts/k1/a", Secret("mine"))
        assert theirs.load("accounts/k1/a") is None
        theirs.save("accounts/k1/a", Secret("theirs"))
        theirs.delete("accounts/k1/a")
        assert mine.load("accounts/k1/a") == Secret("mine")

    def test_another_vault_of_the_same_home_reads_it(self, make: Make) -> None:
        make(HOME).save("accounts/k1/a", Secret("kept"))
        assert (make(HOME).load("accounts/k1/a") == Secret("kept")) is self.persistent

    def test_threads_at_once(self, vault: Vault) -> None:
        wrong: list[object] = []

        def work(number: int) -> None:
            try:
                for turn in range(4):
                    value = Secret(f"{number}-{turn}-" + "y" * 1_500)
                    vault.save(f"accounts/{number}/a", value)
                    if vault.load(f"accounts/{number}/a") != value:
                        wrong.append((number, turn))
                vault.delete(f"accounts/{number}/a")
            except Exception as error:  # told on the test's own thread
                wrong.append(error)

        threads = [threading.Thread(target=work, args=(n,)) for n in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert wrong == [], wrong
        assert all(vault.load(f"accounts/{n}/a") is None for n in range(6))

    def test_the_probe_tells_that_all_is_well_and_leaves_nothing(self, vault: Vault) -> None:
        health = vault.probe()
        assert health.ok
        assert health.name
        assert health.code is None
        assert health.persistent is self.persistent
