"""What every account store must do. Subclass each with a `store` fixture."""

from __future__ import annotations

import threading
from dataclasses import replace
from typing import Protocol

import pytest

from keyfob.core.account import Connected, Disconnected, ErrorNote, NeedsSignIn, Record, Stale
from keyfob.core.error_codes import Advice
from keyfob.core.errors import Usage
from keyfob.ports import AccountRecords, AccountStore, History, Journal, NamedValues
from support.records import AT, a_record, a_revocation, an_event, an_intent


class Checked(AccountStore, Protocol):
    """One that can check itself."""

    def check(self) -> str | None: ...


class AccountRecordsContract:
    """Subclass each with a `store` fixture."""

    @pytest.mark.parametrize(
        "status",
        [
            Connected(),
            Stale(AT, ErrorNote("provider_unavailable", "down", Advice.RETRY, AT)),
            NeedsSignIn(AT, ErrorNote("grant_ended", "over", Advice.SIGN_IN_AGAIN, AT)),
            Disconnected(AT),
        ],
    )
    def test_a_record_comes_back_equal(self, store: AccountRecords, status: object) -> None:
        record = a_record(status=status)  # type: ignore[arg-type]
        store.put(record)
        assert store.get("k1") == record
        assert list(store.records()) == [record]

    def test_put_replaces_by_key(self, store: AccountRecords) -> None:
        store.put(a_record())
        renamed = a_record(label="alice-2")
        store.put(renamed)
        assert list(store.records()) == [renamed]

    def test_records_are_in_order_of_their_ids(self, store: AccountRecords) -> None:
        for key, provider, label in (("3", "b", "a"), ("1", "a", "z"), ("2", "a", "b")):
            store.put(a_record(key, provider, label))
        assert [r.account.id for r in store.records()] == ["a/b", "a/z", "b/a"]

    @pytest.mark.parametrize("label", ["alice", "Alice", "ALICE"])
    def test_an_id_belongs_to_one_account(self, store: AccountRecords, label: str) -> None:
        store.put(a_record("k1"))
        with pytest.raises(Usage) as caught:
            store.put(a_record("k2", label=label))
        assert caught.value.code == "label_taken"
        assert [r.account.key for r in store.records()] == ["k1"]

    def test_an_update_to_a_taken_id_changes_nothing(self, store: AccountRecords) -> None:
        store.put(a_record("k1"))
        store.put(a_record("k2", label="bob"))
        with pytest.raises(Usage):
            store.update("k2", lambda r: replace(r, account=replace(r.account, label="alice"), epoch=9))
        assert store.get("k2") == a_record("k2", label="bob")

    def test_update_tells_what_is_then_stored(self, store: AccountRecords) -> None:
        store.put(a_record())
        changed = store.update("k1", lambda r: replace(r, epoch=r.epoch + 1))
        assert changed == replace(a_record(), epoch=1)
        assert store.get("k1") == changed
        assert store.update("k1", lambda r: None) == changed
        assert store.get("k1") == changed

    def test_update_of_no_account_asks_nothing(self, store: AccountRecords) -> None:
        assert store.update("k1", lambda r: pytest.fail("asked")) is None

    def test_an_update_that_raises_changes_nothing(self, store: AccountRecords) -> None:
        store.put(a_record())

        def burst(record: Record) -> Record:
            raise RuntimeError("no")

        with pytest.raises(RuntimeError):
            store.update("k1", burst)
        assert store.get("k1") == a_record()
        store.put(a_record(label="still-writable"))

    def test_an_update_cannot_change_the_key(self, store: AccountRecords) -> None:
        store.put(a_record())
        with pytest.raises(ValueError, match="key"):
            store.update("k1", lambda r: a_record("k2"))
        assert [r.account.key for r in store.records()] == ["k1"]

    def test_updates_of_many_threads_are_all_kept(self, store: AccountRecords) -> None:
        store.put(a_record())

        def work() -> None:
            for _ in range(25):
                store.update("k1", lambda r: replace(r, epoch=r.epoch + 1))

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        record = store.get("k1")
        assert record is not None
        assert record.epoch == 200


class JournalContract:
    def test_intents_are_one_an_account(self, store: Journal) -> None:
        store.put_intent(an_intent(generation=1))
        store.put_intent(an_intent(generation=2))
        store.put_intent(an_intent("k2"))
        assert store.intent("k1") == an_intent(generation=2)
        assert list(store.intents()) == [an_intent(generation=2), an_intent("k2")]
        store.clear_intent("k1")
        store.clear_intent("k1")
        assert list(store.intents()) == [an_intent("k2")]

    def test_revocations_are_kept_by_entry(self, store: Journal) -> None:
        store.put_revocation(a_revocation())
        again = replace(a_revocation(), tries=1, retry_at=AT)
        store.put_revocation(again)
        store.put_revocation(a_revocation("revoke/2"))
        assert list(store.revocations()) == [again, a_revocation("revoke/2")]
        store.remove_revocation("revoke/1")
        store.remove_revocation("revoke/1")
        assert list(store.revocations()) == [a_revocation("revoke/2")]


class HistoryContract:
    def test_events_are_told_oldest_first_and_the_newest_of_them(self, store: History) -> None:
        logged = [store.log(an_event(n, f"k{n % 2}")) for n in range(6)]
        assert [e.seq for e in logged] == sorted({e.seq for e in logged})
        assert logged[0] == replace(an_event(0, "k0"), seq=logged[0].seq)
        assert list(store.events()) == logged
        assert list(store.events(limit=2)) == logged[-2:]
        assert list(store.events(after=logged[3].seq)) == logged[4:]
        assert list(store.events(account_key="k1")) == logged[1::2]
        assert list(store.events(account_key="k1", limit=1, after=logged[0].seq)) == [logged[5]]
        assert list(store.events(limit=0)) == []

    def test_an_event_without_a_zone_is_a_bug(self, store: History) -> None:
        with pytest.raises(ValueError, match="zone"):
            store.log(replace(an_event(), at=AT.replace(tzinfo=None)))


class NamedValuesContract:
    def test_named_values(self, store: NamedValues) -> None:
        store.write("attempt/1", "one")
        store.write("attempt/1", "uno")
        store.write("attempt_2", "two")
        store.write("client/a%b", "{}")
        assert store.read("attempt/1") == "uno"
        assert list(store.names("attempt/")) == ["attempt/1"]
        assert list(store.names("client/a%")) == ["client/a%b"]
        assert list(store.names("%")) == []
        assert list(store.names("")) == ["attempt/1", "attempt_2", "client/a%b"]
        store.write("attempt/1", None)
        store.write("attempt/1", None)
        assert store.read("attempt/1") is None


class AccountStoreContract(AccountRecordsContract, JournalContract, HistoryContract, NamedValuesContract):
    def test_a_new_store_is_empty(self, store: AccountStore) -> None:
        assert list(store.records()) == []
        assert list(store.intents()) == []
        assert list(store.revocations()) == []
        assert list(store.events()) == []
        assert store.get("k1") is None
        assert store.intent("k1") is None
        assert store.read("x") is None

    def test_remove_takes_the_intent_along_and_leaves_history_and_revocations(
        self, store: AccountStore
    ) -> None:
        store.put(a_record())
        store.put_intent(an_intent())
        store.put_revocation(a_revocation())
        store.log(an_event())
        store.remove("k1")
        store.remove("k1")
        assert store.get("k1") is None
        assert store.intent("k1") is None
        assert len(store.revocations()) == 1
        assert len(store.events()) == 1
        store.put(a_record("k2"))  # the id is free again

    def test_data_version_tells_that_something_was_written(self, store: Checked) -> None:
        before = store.data_version()
        assert store.data_version() == before
        store.put(a_record())
        assert store.data_version() != before

    def test_check_finds_nothing(self, store: Checked) -> None:
        assert store.check() is None
