"""Values split into parts: whoever is killed on the way, the old value or the new one is whole."""

from __future__ import annotations

import hashlib

import pytest

from keyfob.adapters.vault.entries import EntryVault
from keyfob.core.errors import KeychainError
from keyfob.core.secret import Secret

HOME = "1f" * 16
FULL = f"keyfob/{HOME}/slot"
LONG = "".join(chr(33 + n % 90) for n in range(95))
OTHER = "".join(chr(34 + n % 89) for n in range(63))


class Killed(BaseException):
    """Stands for the end of the process: nothing may catch it."""


class Store:
    """Entries with a limit of ten characters. `budget`: changes that still happen before the kill."""

    title = "store"
    persistent = True

    def __init__(self, limit: int | None = 10) -> None:
        self.limit = limit
        self.entries: dict[str, str] = {}
        self.budget: int | None = None
        self.swallow: str | None = None

    def get(self, name: str) -> str | None:
        return self.entries.get(name)

    def put(self, name: str, text: str) -> None:
        assert self.limit is None or len(text) <= max(self.limit, len(head("a", 10, "")))
        self._spend()
        if name != self.swallow:
            self.entries[name] = text

    def drop(self, name: str) -> None:
        self._spend()
        if name != self.swallow:
            self.entries.pop(name, None)

    def names(self, prefix: str) -> list[str]:
        return [name for name in self.entries if name.startswith(prefix)]

    def _spend(self) -> None:
        if self.budget is not None:
            if self.budget == 0:
                raise Killed
            self.budget -= 1


def head(part_set: str, count: int, text: str) -> str:
    return f"keyfob:parts:{part_set}:{count}:{hashlib.sha256(text.encode()).hexdigest()}"


def vault(store: Store) -> EntryVault:
    return EntryVault(HOME, store)


def whole(store: Store) -> str | None:
    """What a process that starts now reads."""
    store.budget = None
    found = vault(store).load("slot")
    return None if found is None else found.reveal()


@pytest.mark.parametrize("old", ["", "short", LONG, OTHER])
@pytest.mark.parametrize("new", ["brief", LONG[::-1], OTHER[::-1]])
def test_a_save_that_is_cut_off_leaves_the_old_value_or_the_new(old: str, new: str) -> None:
    """S-69: and the next save leaves nothing of it behind."""
    for budget in range(60):
        store = Store()
        vault(store).save("slot", Secret(old))
        store.budget = budget
        try:
            vault(store).save("slot", Secret(new))
            finished = True
        except Killed:
            finished = False
        assert whole(store) in ((new,) if finished else (old, new))
        vault(store).save("slot", Secret("end"))
        assert store.entries == {FULL: "end"}
        if finished:
            return
    raise AssertionError("the save never came to its end")


def test_a_delete_that_is_cut_off_is_finished_by_the_next() -> None:
    for budget in range(60):
        store = Store()
        vault(store).save("slot", Secret(LONG))
        store.budget = budget
        try:
            vault(store).delete("slot")
            finished = True
        except Killed:
            finished = False
        assert whole(store) in (None, LONG)
        vault(store).delete("slot")
        assert store.entries == {}
        if finished:
            return
    raise AssertionError("the delete never came to its end")


def test_a_cut_off_first_save_and_a_delete_leave_nothing() -> None:
    store = Store()
    store.budget = 4
    with pytest.raises(Killed):
        vault(store).save("slot", Secret(LONG))
    assert store.entries
    store.budget = None
    vault(store).delete("slot")
    assert store.entries == {}


@pytest.mark.parametrize("number", [1, 5, 10])
@pytest.mark.parametrize("harm", ["missing", "changed", "swapped"])
def test_parts_that_do_not_fit_their_head_are_damaged(number: int, harm: str) -> None:
    store = Store()
    vault(store).save("slot", Secret(LONG))
    part = f"{FULL}.a{number}"
    match harm:
        case "missing":
            del store.entries[part]
        case "changed":
            store.entries[part] = store.entries[part][::-1] + "~"
        case _:
            other = f"{FULL}.a{number % 10 + 1}"
            store.entries[part], store.entries[other] = store.entries[other], store.entries[part]
    with pytest.raises(KeychainError) as caught:
        vault(store).load("slot")
    assert caught.value.code == "entry_damaged"
    vault(store).save("slot", Secret("mended"))
    assert store.entries == {FULL: "mended"}


def test_a_reader_who_meets_a_writer_starts_over() -> None:
    store = Store()
    vault(store).save("slot", Secret(LONG))
    plain_get = store.get

    def get(name: str) -> str | None:
        if name == f"{FULL}.a3":
            store.get = plain_get  # type: ignore[method-assign]
            vault(store).save("slot", Secret(OTHER))
        return plain_get(name)

    store.get = get  # type: ignore[method-assign]
    assert vault(store).load("slot") == Secret(OTHER)


def test_a_value_that_reads_like_a_head_comes_back_as_it_is() -> None:
    for text in (head("a", 1, "x"), "keyfob:parts:", "keyfob:parts:b:1:zz"):
        for limit in (10, 1_000, None):
            store = Store(limit)
            vault(store).save("slot", Secret(text))
            assert vault(store).load("slot") == Secret(text)
            vault(store).delete("slot")
            assert store.entries == {}


@pytest.mark.parametrize("swallow", [FULL, f"{FULL}.a2"])
@pytest.mark.parametrize("old", [None, "short"])
def test_a_write_that_is_swallowed_is_told_and_the_old_value_stays(swallow: str, old: str | None) -> None:
    """S-67: every write is read back."""
    store = Store()
    if old is not None:
        vault(store).save("slot", Secret(old))
    store.swallow = swallow
    with pytest.raises(KeychainError) as caught:
        vault(store).save("slot", Secret(LONG))
    assert caught.value.code == "keychain_write_lost"
    assert whole(store) == old


def test_a_delete_that_is_swallowed_is_told() -> None:
    store = Store()
    vault(store).save("slot", Secret("short"))
    store.swallow = FULL
    with pytest.raises(KeychainError) as caught:
        vault(store).delete("slot")
    assert caught.value.code == "keychain_write_lost"


def test_a_probe_of_a_store_that_keeps_nothing_tells_so() -> None:
    class Sieve(Store):
        def put(self, name: str, text: str) -> None:
            pass

    health = vault(Sieve()).probe()
    assert (health.ok, health.code, health.name) == (False, "keychain_write_lost", "store")
