"""The Keeper's promises, each quoted, and the order in which a session is never lost."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from keyfob.adapters.vault.lockable import LockableVault
from keyfob.adapters.vault.memory import MemoryVault
from keyfob.agent.control import Control
from keyfob.core.account import Connected, Disconnected, Intent, NeedsSignIn, Record, Stale
from keyfob.core.errors import (
    Fault,
    KeychainError,
    KeyfobError,
    PeerFault,
    SettingWrong,
    SignInNeeded,
    Transient,
)
from keyfob.core.grant import Grant
from keyfob.core.http import Response
from keyfob.core.renewal import REPEAT_WITHIN
from keyfob.core.secret import Secret
from keyfob.core.transitions import UserDisconnected, after
from keyfob.service.accounts import reading, saving
from keyfob.service.accounts.grant_store import Stored
from keyfob.service.accounts.schedule import Schedule
from support.rig import PRESET, Rig

LOST = Transient("the answer never came", code="network_timeout", sent=True, answered=False)
OFFLINE = Transient("no network", code="network_unreachable", sent=False)


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
    monkeypatch.setattr(reading, "SECOND_LOOK", timedelta(0))
    return Rig(tmp_path)


class FlakyVault(MemoryVault):
    """Writes fail while `broken` counts down; names in `lost` look empty."""

    def __init__(self) -> None:
        super().__init__()
        self.broken = 0
        self.only: str | None = None

    def save(self, name: str, value: Secret) -> None:
        if self.broken and (self.only is None or name.endswith(self.only)):
            self.broken -= 1
            raise KeychainError("locked", code="keychain_locked")
        super().save(name, value)


def refreshes(rig: Rig) -> int:
    return rig.server.log.count("refresh")


def test_a_fresh_token_is_served_without_asking_anybody(rig: Rig) -> None:
    rig.connect()
    assert rig.ask() == "access-1"
    assert rig.server.log == []


def test_less_than_min_life_renews_first(rig: Rig) -> None:
    rig.connect()
    rig.clock.forward(seconds=3560)
    assert rig.ask(min_life=60) == "access-2"
    assert rig.record().status == Connected()
    assert rig.record().generation == 2
    assert rig.record().last_renewed_at == rig.clock()


def test_at_most_one_renewal_a_call_even_where_min_life_asks_for_more(rig: Rig) -> None:
    rig.connect()
    rig.server.lifetime = 30
    assert rig.ask(min_life=7200) == "access-2"
    assert refreshes(rig) == 1


def test_promise_1_one_renewal_an_account_at_a_time_across_threads_and_keepers(rig: Rig) -> None:
    rig.connect()
    rig.clock.forward(seconds=3600)
    keepers = [rig.keeper, rig.another_engine().keeper, rig.another_engine().keeper]
    with ThreadPoolExecutor(24) as pool:
        asked = [
            pool.submit(keepers[n % 3].grant, "key-1", min_life=timedelta(seconds=60)) for n in range(24)
        ]
        tokens = {one.result().access.reveal() for one in asked}
    assert tokens == {"access-2"}
    assert refreshes(rig) == 1


def test_promise_2_rejected_names_the_refused_token_so_thirty_callers_cost_one_renewal(rig: Rig) -> None:
    rig.connect()
    with ThreadPoolExecutor(30) as pool:
        tokens = set(pool.map(lambda _: rig.ask(rejected="access-1"), range(30)))
    assert tokens == {"access-2"}
    assert refreshes(rig) == 1


def test_promise_3_cancellable_until_the_request_leaves(rig: Rig) -> None:
    rig.connect()
    rig.clock.forward(seconds=3600)
    cancel = threading.Event()
    cancel.set()
    with rig.locks.hold("account-key-1", timeout=timedelta(seconds=1)), ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(rig.keeper.grant, "key-1", min_life=timedelta(0), cancel=cancel)
        with pytest.raises(KeyfobError) as caught:
            waiting.result(timeout=5)
    assert caught.value.code == "cancelled"
    assert rig.server.log == []


def test_promise_3_never_cancelled_after_the_request_has_left(rig: Rig) -> None:
    rig.connect()
    rig.clock.forward(seconds=3600)
    cancel = threading.Event()
    rig.server.before = cancel.set
    grant = rig.keeper.grant("key-1", min_life=timedelta(0), cancel=cancel)
    assert grant.access.reveal() == "access-2"
    assert rig.held().refresh == Secret("refresh-2")


def test_promise_4_saved_before_returned_and_the_old_slot_stays(rig: Rig) -> None:
    rig.connect()
    rig.ask(force=True)
    assert rig.held().access == Secret("access-2")
    entries = [rig.vault.load(f"key-1/{slot}") for slot in "ab"]
    assert all(entry is not None for entry in entries)
    assert rig.store.intent("key-1") is None


def test_promise_5_no_refresh_token_in_the_answer_keeps_the_old_one(rig: Rig) -> None:
    rig.connect()
    rig.server.extra = {"refresh_token": None}
    assert rig.ask(force=True) == "access-2"
    assert rig.held().refresh == Secret("refresh-1")


@pytest.mark.parametrize(
    "fault",
    [
        Response(500, {}, b"", None),  # type: ignore[arg-type]
        Response(503, {"content-type": "text/html"}, b"<html>busy</html>", None),  # type: ignore[arg-type]
        Response(429, {"retry-after": "120"}, b"", None),  # type: ignore[arg-type]
        Response(403, {"content-type": "text/html"}, b"<html>Just a moment</html>", None),  # type: ignore[arg-type]
        Response(400, {"content-type": "application/json"}, b'{"error":"invalid_client"}', None),  # type: ignore[arg-type]
        Response(400, {"content-type": "application/json"}, b'{"error":"temporarily_unavailable"}', None),  # type: ignore[arg-type]
        Response(302, {"location": "https://portal.example/"}, b"", None),  # type: ignore[arg-type]
        OFFLINE,
        LOST,
    ],
    ids=[
        "500",
        "503-html",
        "429",
        "403-html",
        "invalid_client",
        "temporarily",
        "redirect",
        "offline",
        "lost",
    ],
)
def test_promise_6_only_the_grants_true_end_ends_it(rig: Rig, fault: object) -> None:
    """S-39: kept, backed off, Retry-After obeyed."""
    rig.connect()
    rig.server.grace = True
    rig.clock.forward(seconds=3590)
    rig.server.faults = [fault]
    assert rig.ask(min_life=60) == "access-1"  # not expired yet, so it serves
    record = rig.record()
    assert record.status == Connected()
    assert record.failures == 1
    assert record.last_error is not None
    assert record.retry_at is not None
    assert record.retry_at > rig.clock()
    # Backed off: asking again does not ask the provider again.
    assert rig.ask(min_life=60) == "access-1"
    assert refreshes(rig) == 1
    rig.clock.forward(seconds=20)
    if rig.clock() < record.retry_at:
        with pytest.raises(KeyfobError):
            rig.ask()
    rig.clock.forward(seconds=3600)
    assert rig.ask() != "access-1"
    assert rig.record().status == Connected()
    assert rig.record().last_error is None


def test_expired_and_failing_is_stale_and_never_hands_out_the_expired_token(rig: Rig) -> None:
    rig.connect()
    rig.clock.forward(seconds=3600)
    rig.server.faults = [OFFLINE]
    with pytest.raises(Transient):
        rig.ask()
    assert isinstance(rig.record().status, Stale)
    with pytest.raises(Transient):
        rig.ask()
    rig.clock.forward(seconds=60)
    assert rig.ask() == "access-2"


def test_invalid_grant_is_the_end_and_deletes_nothing(rig: Rig) -> None:
    rig.connect()
    rig.server.dead = True
    rig.clock.forward(seconds=3600)
    with pytest.raises(SignInNeeded) as caught:
        rig.ask()
    assert caught.value.code == "grant_ended"
    assert caught.value.message == "Example ended this sign-in"
    note = rig.accounts.view("example").last_error
    assert note is not None
    assert (note.message, note.detail) == (caught.value.message, caught.value.detail)
    assert "answered 400: invalid_grant" in note.to_json()["detail"]
    assert isinstance(rig.record().status, NeedsSignIn)
    assert rig.held().refresh == Secret("refresh-1")
    # Said once: asking again neither asks the provider nor tells a second time.
    with pytest.raises(SignInNeeded):
        rig.ask()
    assert refreshes(rig) == 1
    assert [e.kind for e in rig.store.events()].count("needs_sign_in") == 1


def test_invalid_grant_is_read_twice_and_the_winner_is_adopted(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A program without our lock renewed meanwhile and saves while we look again."""
    rig.connect()
    rig.server.dead = True
    won = replace(
        rig.held(),
        access=Secret("access-9"),
        refresh=Secret("refresh-9"),
        generation=2,
        expires_at=rig.clock() + timedelta(hours=3),
    )
    rig.clock.forward(seconds=3600)
    pauses: list[timedelta] = []

    def pause(span: timedelta, cancel: threading.Event | None) -> None:
        pauses.append(span)
        rig.grants.save("key-1", won)  # after the first look, and before the second

    monkeypatch.setattr(reading, "pause", pause)
    assert rig.ask() == "access-9"
    assert rig.record().status == Connected()
    assert rig.record().generation == 2
    assert len(pauses) == 1


def test_an_account_that_is_disconnected_once_its_new_grant_is_saved_gets_no_token(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.connect()
    keep = rig.keeper.saving.keep

    def disconnected_then(record: Record, grant: Grant, before: Stored) -> str:
        slot = keep(record, grant, before)
        rig.store.update("key-1", lambda row: after(row, UserDisconnected(rig.clock())))
        return slot

    monkeypatch.setattr(rig.keeper.saving, "keep", disconnected_then)
    with pytest.raises(SignInNeeded) as caught:
        rig.ask(force=True)
    assert caught.value.code == "disconnected"
    assert (rig.record().renewable, rig.record().expires_at) == (False, None)
    rig.disconnector.clean_up("key-1")
    assert rig.server.revoked == ["refresh-2"], "what was saved meanwhile is revoked"
    assert rig.grants.newest("key-1") is None


def test_promise_7_a_changed_subject_is_refused_and_its_refresh_token_is_kept(rig: Rig) -> None:
    preset = PRESET.replace('source = "userinfo"', 'source = "token_answer"', 1)
    (rig.presets / "example.toml").write_text(preset)
    rig.connect()
    rig.server.extra = {"sub": "somebody-else"}
    with pytest.raises(PeerFault) as caught:
        rig.ask(force=True)
    assert caught.value.code == "subject_mismatch"
    assert rig.held().access == Secret("access-1")
    assert rig.held().refresh == Secret("refresh-2")
    assert rig.record().status == Connected()
    assert rig.ask() == "access-1"
    rig.server.extra = {"sub": "subject-1"}
    rig.clock.forward(seconds=60)
    assert rig.ask(force=True) == "access-3"
    assert rig.record().last_error is None


# --- never lose a session -----------------------------------------------------------------------------------


def test_an_unwritable_vault_means_nothing_is_sent(tmp_path: Path) -> None:
    vault = FlakyVault()
    rig = Rig(tmp_path, vault=vault)
    rig.connect()
    rig.clock.forward(seconds=3600)
    vault.broken = 1
    with pytest.raises(KeychainError):
        rig.ask()
    assert rig.server.log == []
    assert rig.store.intent("key-1") is None


def test_a_failed_save_is_retried_and_never_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saving, "pause", lambda span, cancel: None)
    vault = FlakyVault()
    rig = Rig(tmp_path, vault=vault, save_for=None)
    rig.connect()
    vault.only = "/b"
    vault.broken = 7
    assert rig.ask(force=True) == "access-2"
    assert rig.held().access == Secret("access-2")
    assert "saving_failed" in [e.kind for e in rig.store.events()]


def control_of(rig: Rig, vault: LockableVault) -> Control:
    return Control("home", vault, "sealed", rig.clock(), rig.keeper.settled)


def test_s87_a_lock_waits_for_a_renewal_that_has_begun_and_gives_out_nothing_meanwhile(
    tmp_path: Path,
) -> None:
    """The refresh token is spent by then: a vault that is closed before the new one is saved loses the
    sign-in.
    """
    vault = LockableVault(MemoryVault())
    rig = Rig(tmp_path, vault=vault)
    rig.connect("key-2", "bob")
    rig.connect()
    rig.clock.forward(seconds=3600)
    sent, refused = threading.Event(), threading.Event()

    def answer_late() -> None:
        sent.set()
        assert refused.wait(10)

    rig.server.before = answer_late
    with ThreadPoolExecutor(2) as pool:
        renewing = pool.submit(rig.ask)
        assert sent.wait(10)
        locking = pool.submit(control_of(rig, vault).lock)
        while not vault.locked:
            assert not locking.done()
        with pytest.raises(KeychainError) as caught:
            rig.keeper.grant("key-2", min_life=timedelta(0))
        assert caught.value.code == "agent_locked"
        refused.set()
        assert renewing.result(10) == "access-3"
        locking.result(10)
    assert refreshes(rig) == 1
    with pytest.raises(KeychainError):
        vault.save("key-1/a", Secret("late"))
    vault.open(None)
    assert rig.held().refresh == Secret("refresh-3")
    assert rig.store.intent("key-1") is None


def test_s87_a_lock_leaves_the_vault_open_for_what_is_not_saved_yet(tmp_path: Path) -> None:
    vault = LockableVault(MemoryVault())
    rig = Rig(tmp_path, vault=vault)
    rig.connect()
    rig.clock.forward(seconds=3600)

    def lock() -> None:
        impatient = replace(control_of(rig, vault), settled=lambda _: rig.keeper.settled(timedelta(0)))
        with pytest.raises(Transient) as caught:
            impatient.lock()
        assert caught.value.code == "still_renewing"

    rig.server.before = lock
    assert rig.ask() == "access-2"
    with pytest.raises(KeychainError):
        rig.ask()
    control_of(rig, vault).lock()
    vault.open(None)
    assert rig.held().refresh == Secret("refresh-2")


def test_the_old_token_is_served_while_the_new_one_waits_for_the_keychain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The keychain cannot be read either: what serves is the old grant in
    memory, never one that is not saved.
    """
    vault = FlakyVault()
    rig = Rig(tmp_path, vault=vault, save_for=None)
    rig.connect()
    rig.clock.forward(seconds=3540)
    locked, opened = threading.Event(), threading.Event()

    def lock() -> None:
        monkeypatch.setattr(vault, "load", _locked)
        monkeypatch.setattr(vault, "save", _locked)

    def pause(span: timedelta, cancel: threading.Event | None) -> None:
        locked.set()
        assert opened.wait(10)
        monkeypatch.undo()

    def _locked(*_: object) -> None:
        raise KeychainError("locked", code="keychain_locked")

    monkeypatch.setattr(saving, "pause", pause)
    rig.server.before = lock
    with ThreadPoolExecutor() as pool:
        renewed = pool.submit(rig.ask, force=True)
        assert locked.wait(10)
        try:
            assert rig.ask(min_life=1200) == "access-1"
            with pytest.raises(KeychainError):
                rig.ask(rejected="access-1")
            with pytest.raises(KeychainError):
                rig.ask(force=True)
            rig.clock.forward(seconds=60)
            with pytest.raises(KeychainError):
                rig.ask()
        finally:
            opened.set()
        assert renewed.result(10) == "access-2"
    assert rig.ask() == "access-2"
    assert refreshes(rig) == 1


def test_a_command_gives_up_saving_in_the_end_and_the_intent_tells_of_it(tmp_path: Path) -> None:
    vault = FlakyVault()
    rig = Rig(tmp_path, vault=vault, save_for=timedelta(0))
    rig.server.grace = True
    rig.connect()
    vault.only = "/b"
    vault.broken = 1
    with pytest.raises(KeychainError):
        rig.ask(force=True)
    assert rig.store.intent("key-1") is not None
    rig.clock.forward(seconds=60)
    assert rig.ask(force=True) == "access-3"  # replayed within the server's grace
    assert rig.store.intent("key-1") is None


def test_whoever_stops_saving_says_what_becomes_of_the_new_token(tmp_path: Path) -> None:
    vault = FlakyVault()
    rig = Rig(tmp_path, vault=vault, save_for=timedelta(0))
    rig.connect()
    old = rig.held()
    vault.only, vault.broken = "/b", 1
    with pytest.raises(KeychainError, match="may have to sign in again"):
        rig.ask(force=True)
    handed: list[tuple[str, Grant, str]] = []

    def stand_by(record: Record, grant: Grant, beside: str) -> bool:
        handed.append((record.account.key, grant, beside))
        return True

    rig.keeper.saving.stand_by = stand_by
    rig.server.grace = True
    rig.clock.forward(seconds=60)
    vault.broken = 1
    with pytest.raises(KeychainError, match="waiting in a separate Keyfob process"):
        rig.ask(force=True)
    # Nobody has judged the new access token: the refresh token is what must not be lost.
    assert handed == [("key-1", replace(old, refresh=Secret("refresh-3"), generation=2), "a")]


def test_what_another_process_is_about_to_save_is_not_renewed_from_the_vaults_spent_token(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keyfob.service.accounts.keeper.SAVED_WITHIN", 0)
    record = rig.connect()
    old = rig.held()
    lose_an_answer(rig)
    with rig.locks.hold("saving-key-1", timeout=timedelta(0)):
        assert rig.ask() == "access-1"
        with pytest.raises(KeychainError):
            rig.ask(force=True)
        assert refreshes(rig) == 0
        with rig.locks.hold("account-key-1", timeout=timedelta(0)), pytest.raises(Transient):
            rig.keeper.saving.save_in_turn(record, old, "a")
        rig.keeper.saving.save_in_turn(record, replace(old, refresh=Secret("refresh-2"), generation=2), "a")
    assert rig.held().refresh == Secret("refresh-2")
    assert rig.ask(force=True) == "access-3"
    assert rig.record().generation == 3


def test_an_intent_with_a_newer_slot_is_cleared_and_that_slot_is_used(rig: Rig) -> None:
    record = rig.connect()
    old = rig.held()
    assert old.refresh is not None
    rig.store.put_intent(Intent("key-1", 1, old.refresh.fingerprint(), rig.clock()))
    rig.grants.save(
        "key-1", replace(old, access=Secret("access-saved"), refresh=Secret("refresh-saved"), generation=2)
    )
    assert Schedule(rig.store, rig.settings.current).due(record, rig.clock()) == rig.clock()
    rig.renewer.tick()
    assert rig.server.log == []
    assert rig.store.intent("key-1") is None
    assert rig.record().generation == 2
    assert rig.ask() == "access-saved"


def test_an_intent_of_the_newest_slot_is_replayed_once(rig: Rig) -> None:
    rig.connect()
    rig.server.grace = True
    rig.clock.forward(seconds=3600)
    rig.server.faults = [LOST]
    with pytest.raises(Transient):
        rig.ask()
    assert rig.store.intent("key-1") is not None
    rig.clock.forward(seconds=10)
    assert rig.ask() == "access-3"
    assert refreshes(rig) == 2
    assert rig.store.intent("key-1") is None


def test_without_grace_a_lost_answer_ends_in_one_needs_sign_in_and_no_loop(rig: Rig) -> None:
    """S-36: reuse kills the family; one `needs_sign_in`."""
    rig.connect()
    rig.clock.forward(seconds=3600)
    rig.server.faults = [LOST]
    for _ in range(5):
        with pytest.raises(KeyfobError):
            rig.ask()
        rig.clock.forward(seconds=30)
    assert refreshes(rig) == 2
    assert isinstance(rig.record().status, NeedsSignIn)


def test_offline_leaves_no_intent_open(rig: Rig) -> None:
    rig.connect()
    rig.clock.forward(seconds=3600)
    rig.server.faults = [OFFLINE]
    with pytest.raises(Transient):
        rig.ask()
    assert rig.store.intent("key-1") is None


def test_a_damaged_newest_slot_falls_back_to_the_other(rig: Rig) -> None:
    rig.connect()
    rig.ask(force=True)
    newest = rig.grants.newest("key-1")
    assert newest is not None
    rig.vault.save(f"key-1/{newest.slot}", Secret("torn.{}"))
    assert rig.held().access == Secret("access-1")


def test_an_empty_keychain_asks_for_a_sign_in_and_heals_when_it_is_back(rig: Rig) -> None:
    rig.connect()
    kept = rig.held()
    rig.grants.forget("key-1")
    with pytest.raises(SignInNeeded) as caught:
        rig.ask()
    assert caught.value.code == "grant_missing"
    rig.grants.save("key-1", kept)
    assert rig.ask() == "access-1"
    assert rig.record().status == Connected()


@pytest.mark.logs
def test_a_bug_of_ours_signs_nobody_out(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.connect()
    monkeypatch.setattr(rig.server, "send", lambda request: 1 / 0)
    with pytest.raises(Fault):
        rig.ask(force=True)
    assert rig.record().status == Connected()
    assert rig.held().refresh == Secret("refresh-1")


def test_no_refresh_token_serves_until_expiry_and_then_asks_for_a_sign_in(rig: Rig) -> None:
    rig.connect(renewable=False)
    rig.clock.forward(seconds=3590)
    assert rig.ask(min_life=60) == "access-1"
    rig.clock.forward(seconds=10)
    with pytest.raises(SignInNeeded) as caught:
        rig.ask()
    assert caught.value.code == "token_expired"
    assert isinstance(rig.record().status, NeedsSignIn)


def test_one_programs_word_does_not_sign_out_an_account_that_cannot_renew(rig: Rig) -> None:
    rig.connect(renewable=False)
    with pytest.raises(SignInNeeded) as caught:
        rig.ask(rejected="access-1")
    assert caught.value.code == "token_rejected"
    assert rig.ask() == "access-1"


@pytest.mark.parametrize("lifetime", [-1, 0, True])
def test_a_nonsensical_lifetime_makes_no_renewal_loop(rig: Rig, lifetime: int) -> None:
    """S-32"""
    rig.connect()
    rig.server.lifetime = lifetime
    assert rig.ask(force=True) == "access-2"
    for _ in range(120):
        rig.clock.forward(seconds=1)
        rig.renewer.tick()
    assert refreshes(rig) <= 10


def test_renew_now_overrides_our_backoff_but_not_the_providers_word(rig: Rig) -> None:
    rig.connect()
    rig.server.faults = [OFFLINE]
    with pytest.raises(Transient):
        rig.ask(force=True)
    assert rig.ask(force=True) == "access-2"
    rig.server.faults = [Response(429, {"retry-after": "120"}, b"", rig.clock())]
    with pytest.raises(Transient) as caught:
        rig.ask(force=True)
    assert caught.value.retry_after == timedelta(seconds=120)
    asked = refreshes(rig)
    rig.clock.forward(seconds=60)
    with pytest.raises(Transient) as caught:
        rig.ask(force=True)
    assert refreshes(rig) == asked
    assert caught.value.code == "asked_to_wait"
    assert caught.value.until == rig.clock() + timedelta(seconds=60)
    assert caught.value.full_message(UTC) == "Example asked Keyfob to wait until 12:02:00"
    rig.clock.forward(seconds=61)
    assert rig.ask(force=True) == "access-3"


def test_renew_now_asks_again_as_soon_as_the_providers_own_wait_is_over(rig: Rig) -> None:
    """A provider that asks for 5 s does not have a person wait for our backoff of minutes."""
    rig.connect()
    for _ in range(8):
        rig.server.faults = [Response(503, {"retry-after": "5"}, b"", rig.clock())]
        with pytest.raises(Transient) as caught:
            rig.ask(force=True)
        assert caught.value.code == "provider_unavailable"
        rig.clock.forward(seconds=6)
    retry_at = rig.record().retry_at
    assert retry_at is not None
    assert retry_at - rig.clock() > timedelta(minutes=3)
    assert rig.ask() == "access-1"  # by itself Keyfob waits
    assert refreshes(rig) == 8
    assert rig.ask(force=True) == "access-2"


# --- presets that change, disconnects that overtake ---------------------------------------------------------


def test_a_preset_that_names_another_host_gets_no_stored_token(rig: Rig) -> None:
    rig.connect()
    (rig.presets / "example.toml").write_text(
        PRESET.replace("id.example.org/token", "evil.example.net/token")
    )
    with pytest.raises(SignInNeeded) as caught:
        rig.ask(force=True)
    assert caught.value.code == "preset_changed"
    assert rig.server.log == []
    assert isinstance(rig.record().status, NeedsSignIn)


def test_a_late_answer_of_a_disconnected_account_is_revoked_not_stored(rig: Rig) -> None:
    """S-59: a late renewal cannot bring it back."""
    rig.connect()
    rig.clock.forward(seconds=3600)

    def meanwhile() -> None:
        rig.server.before = None
        rig.store.update(
            "key-1", lambda r: replace(r, status=Disconnected(rig.clock()), epoch=r.epoch + 1, cleanup=True)
        )

    rig.server.before = meanwhile
    with pytest.raises(SignInNeeded) as caught:
        rig.ask()
    assert caught.value.code == "disconnected"
    assert rig.server.revoked == ["refresh-2"]
    assert isinstance(rig.record().status, Disconnected)
    rig.renewer.tick()
    assert rig.grants.newest("key-1") is None
    assert not rig.record().cleanup


def test_a_disconnected_account_gives_no_token(rig: Rig) -> None:
    rig.connect()
    rig.accounts.disconnect("example/alice")
    with pytest.raises(SignInNeeded) as caught:
        rig.ask()
    assert caught.value.code == "disconnected"


def test_a_wrong_setting_keeps_the_account(rig: Rig) -> None:
    rig.connect()
    rig.clock.forward(seconds=3600)
    rig.server.faults = [SettingWrong("untrusted", code="tls_untrusted")]
    with pytest.raises(SettingWrong):
        rig.ask()
    assert isinstance(rig.record().status, Stale)
    with pytest.raises(SettingWrong):
        rig.ask()  # remembered while it is waited out
    assert refreshes(rig) == 1


# --- an answer that was lost --------------------------------------------------------------------------------


def lose_an_answer(rig: Rig) -> None:
    """A process died between the server's commit and its own save; the access token lives on."""
    refresh = rig.held().refresh
    assert refresh is not None
    rig.store.put_intent(Intent("key-1", rig.held().generation, refresh.fingerprint(), rig.clock()))
    rig.server.last_spent = rig.server.current
    rig.server.issue()


def test_a_lost_answer_is_asked_for_again_by_whoever_comes_next_though_the_token_lives(rig: Rig) -> None:
    rig.connect()
    rig.server.grace = True
    lose_an_answer(rig)
    assert rig.ask() == "access-3"
    assert refreshes(rig) == 1
    assert rig.store.intent("key-1") is None
    assert rig.ask() == "access-3"
    assert refreshes(rig) == 1


def test_what_another_is_sending_right_now_is_not_sent_again(rig: Rig) -> None:
    rig.connect()
    lose_an_answer(rig)
    with rig.locks.hold("account-key-1", timeout=timedelta(0)):
        assert rig.ask() == "access-1"
    assert refreshes(rig) == 0


def test_a_lost_answer_that_cannot_be_had_again_costs_nobody_the_living_token(rig: Rig) -> None:
    rig.connect()
    lose_an_answer(rig)
    rig.server.faults = [OFFLINE]
    assert rig.ask() == "access-1"
    assert refreshes(rig) == 1
    assert rig.ask() == "access-1"  # backed off
    assert refreshes(rig) == 1
    # Back online in time, it is asked for again though the token still lives.
    rig.server.grace = True
    rig.clock.forward(seconds=8)
    assert rig.ask() == "access-3"


def test_s36_unanswered_renewals_do_not_send_one_refresh_token_again_and_again(rig: Rig) -> None:
    """S-36: sent, once more at once, and then no more while the access
    token lives, whoever asks and however.
    """
    rig.connect()
    rig.clock.forward(seconds=3000)
    rig.server.faults = [LOST] * 20
    sent = 0
    for _ in range(5):
        with pytest.raises(Transient) as caught:
            rig.ask(force=True)
        rig.renewer.tick()
        assert rig.ask(min_life=900) == "access-1"
        rig.clock.forward(seconds=100)
    assert refreshes(rig) == 2
    assert caught.value.code == "answer_lost"
    assert caught.value.until == rig.record().expires_at
    assert rig.record().retry_at == rig.record().expires_at
    # There is nothing to lose once it has expired: it is tried again, in ever longer steps.
    rig.clock.at = rig.record().expires_at or rig.clock()
    rig.renewer.tick()
    assert refreshes(rig) == 3
    for _ in range(5):
        with pytest.raises(Transient):
            rig.ask(force=True)
    assert refreshes(rig) == 3
    for _ in range(60):
        rig.clock.forward(seconds=60)
        rig.renewer.tick()
        sent = refreshes(rig)
    assert 4 < sent < 12


def test_s36_while_a_server_may_take_it_again_it_is_repeated_until_it_is_answered(rig: Rig) -> None:
    """S-36: two answers in a row are lost, within the half minute in
    which many servers take a spent token again.
    """
    rig.connect()
    rig.server.grace = True
    rig.clock.forward(seconds=3000)
    rig.server.faults = [LOST, LOST]
    sent_at = []
    for _ in range(60):
        before = refreshes(rig)
        rig.renewer.tick()
        if refreshes(rig) > before:
            sent_at.append(rig.clock())
        rig.clock.forward(seconds=0.5)
    assert len(sent_at) == 3
    assert sent_at[-1] - sent_at[0] <= REPEAT_WITHIN
    assert sent_at[1] - sent_at[0] < sent_at[2] - sent_at[1], "the waits between repeats grow"
    assert rig.record().generation == 2


def test_s36_the_first_repeat_does_not_wait_for_a_long_backoff(rig: Rig) -> None:
    """S-36: after an hour without a network the backoff is 30 minutes, and no server's grace is as long."""
    rig.connect()
    rig.server.grace = True
    rig.clock.forward(seconds=3000)
    for _ in range(12):
        rig.server.faults = [OFFLINE]
        with pytest.raises(Transient):
            rig.ask(force=True)
        rig.clock.forward(seconds=1)
    rig.server.faults = [LOST]
    with pytest.raises(Transient):
        rig.ask(force=True)
    rig.clock.forward(seconds=8)
    rig.renewer.tick()
    assert rig.record().status == Connected()
    assert rig.record().generation == 2


# --- a grant that seems to have ended, though nobody says so ------------------------------------------------

REFUSED = Response(400, {}, b"", None)  # type: ignore[arg-type]
WORDLESS = Response(400, {"content-type": "application/json"}, b'{"error":"token_gone"}', None)  # type: ignore[arg-type]


CLIENT = Response(403, {"content-type": "application/json"}, b'{"error":"unauthorized_client"}', None)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "refusal", [REFUSED, WORDLESS, CLIENT], ids=["bare", "unknown word", "over the client"]
)
def test_a_renewal_that_is_refused_again_and_again_asks_for_its_person_and_deletes_nothing(
    rig: Rig, refusal: Response
) -> None:
    """S-39: the grant is kept, whatever it looks like."""
    rig.connect()
    expires = rig.record().expires_at
    assert expires is not None
    rig.clock.at = expires - timedelta(minutes=9)
    rig.server.faults = [refusal] * 1000
    asked: datetime | None = None
    while asked is None:
        rig.clock.forward(seconds=37)
        rig.renewer.tick()
        if isinstance(rig.record().status, NeedsSignIn):
            asked = rig.clock()
        assert rig.clock() < expires + timedelta(hours=2)
    assert asked > expires + timedelta(minutes=15)
    assert rig.record().refusals >= 3
    view = rig.accounts.view("example")
    assert view.status == "needs_sign_in"
    assert view.last_error is not None
    assert (view.last_error.code, view.last_error.advice) == ("renewal_refused", "sign_in_again")
    assert [event.kind for event in rig.store.events()].count("needs_sign_in") == 1
    assert rig.held().refresh == Secret("refresh-1")
    with pytest.raises(SignInNeeded) as caught:
        rig.ask()
    assert caught.value.code == "renewal_refused"
    # One try an hour goes on, whoever asks in between; one that works brings it back.
    sent = refreshes(rig)
    for _ in range(10 * 60):
        rig.clock.forward(seconds=60)
        rig.renewer.tick()
    assert 8 <= refreshes(rig) - sent <= 10
    assert [event.kind for event in rig.store.events()].count("needs_sign_in") == 1
    rig.server.faults = []
    rig.clock.forward(minutes=61)
    assert rig.ask() == "access-2"
    assert rig.record().status == Connected()
    assert (rig.record().refusals, rig.record().refused_since) == (0, None)


@pytest.mark.parametrize("status", [408, 429, 500, 503])
def test_a_server_that_is_busy_never_asks_for_its_person(rig: Rig, status: int) -> None:
    """Only a refusal counts: 408, 429 and 5xx say nothing about the grant."""
    rig.connect()
    expires = rig.record().expires_at
    assert expires is not None
    rig.clock.at = expires
    rig.server.faults = [Response(status, {}, b'{"error":"token_gone"}', None)] * 1000  # type: ignore[arg-type]
    for _ in range(100):
        rig.clock.forward(minutes=2)
        rig.renewer.tick()
    assert refreshes(rig) >= 3
    assert isinstance(rig.record().status, Stale)
    assert rig.record().refusals == 0


def test_a_person_may_try_a_doubted_account_at_any_time(rig: Rig) -> None:
    rig.connect()
    rig.server.faults = [REFUSED] * 1000
    for _ in range(3):
        rig.clock.forward(minutes=61)
        rig.renewer.tick()
    assert isinstance(rig.record().status, NeedsSignIn)
    with pytest.raises(SignInNeeded):
        rig.accounts.renew("example")
    rig.server.faults = []
    assert rig.accounts.renew("example").status == "connected"


def test_a_provider_that_is_down_does_not_have_anybody_sign_in_again(rig: Rig) -> None:
    """S-39: 503, no network and a page of somebody's say nothing of the grant, for however long."""
    rig.connect()
    down = Response(503, {}, b"", None)  # type: ignore[arg-type]
    portal = Response(302, {"location": "https://portal.example/"}, b"", None)  # type: ignore[arg-type]
    for fault in (down, OFFLINE, portal) * 30:
        rig.server.faults = [fault]
        rig.clock.forward(minutes=31)
        rig.renewer.tick()
    assert isinstance(rig.record().status, Stale)


def test_a_renewal_that_is_never_answered_asks_for_its_person_after_hours_and_goes_on(rig: Rig) -> None:
    rig.connect()
    expires = rig.record().expires_at
    assert expires is not None
    rig.clock.at = expires
    rig.server.faults = [LOST] * 1000
    for _ in range(60):
        rig.clock.forward(minutes=1)
        rig.renewer.tick()
    assert isinstance(rig.record().status, Stale)
    for _ in range(120):
        rig.clock.forward(minutes=1)
        rig.renewer.tick()
    view = rig.accounts.view("example")
    assert view.last_error is not None
    assert (view.status, view.last_error.code) == ("needs_sign_in", "renewal_unanswered")
    assert refreshes(rig) <= 14
    rig.server.faults = []
    rig.server.dead, rig.server.current = False, "refresh-1"  # it never looked at what it did not answer
    rig.clock.forward(minutes=61)
    rig.renewer.tick()
    assert rig.record().status == Connected()
