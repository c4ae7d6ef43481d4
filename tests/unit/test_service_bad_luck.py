"""Full disks, clocks that are set, keychains that answer late or with
what they held before: nothing is lost.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from keyfob.adapters.vault.memory import MemoryVault
from keyfob.core.account import Connected, Disconnected, NeedsSignIn, Stale
from keyfob.core.errors import Fault, KeychainError, KeyfobError, SignInNeeded, Transient
from keyfob.core.grant import Grant, seal
from keyfob.core.secret import Secret
from support.memory_store import MemoryAccountStore
from support.rig import Rig

FULL = Fault("cannot be written: database or disk is full", code="store_unwritable")
WRITES = ("put", "update", "log", "put_intent", "clear_intent", "write", "put_revocation")


class TightStore(MemoryAccountStore):
    """Every write fails while `full`; reads go on, as SQLite's do."""

    full = False

    def __getattribute__(self, name: str) -> object:
        if name in WRITES and object.__getattribute__(self, "full"):
            raise FULL
        return object.__getattribute__(self, name)


class TightVault(MemoryVault):
    """Refuses the next `refusals` saves of a slot; `late` answers loads
    of a slot with what was there before.
    """

    refusals = 0
    late = 0
    before: dict[str, Secret]

    def save(self, name: str, value: Secret) -> None:
        if self.refusals and not name.endswith("/probe"):
            self.refusals -= 1
            raise KeychainError("No space left on device", code="keychain_refused")
        super().save(name, value)

    def load(self, name: str) -> Secret | None:
        if self.late and name.endswith(("/a", "/b")):
            self.late -= 1
            return self.before.get(name)
        return super().load(name)


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
    monkeypatch.setattr("keyfob.service.accounts.saving.SAVE_RETRY", (0.001,))
    monkeypatch.setattr("keyfob.service.accounts.reading.SECOND_LOOK", timedelta(milliseconds=1))
    made = Rig(tmp_path, store=TightStore(), vault=TightVault(), save_for=None)
    made.connect()
    return made


def tight(rig: Rig) -> tuple[TightStore, TightVault]:
    assert isinstance(rig.store, TightStore)
    assert isinstance(rig.vault, TightVault)
    return rig.store, rig.vault


def fills_up(rig: Rig, *, refusals: int) -> Callable[[], None]:
    store, vault = tight(rig)

    def now() -> None:
        store.full, vault.refusals = True, refusals

    return now


@pytest.mark.logs
def test_a_disk_that_fills_up_while_the_answer_is_on_its_way_loses_nothing(rig: Rig) -> None:
    """Store and keychain share the disk: neither can be written, then the keychain can, then both."""
    store, _ = tight(rig)
    rig.server.before = fills_up(rig, refusals=5)
    with pytest.raises(Fault):
        rig.ask(force=True)
    assert rig.held().refresh == Secret("refresh-2")
    rig.server.before = None
    store.full = False
    assert rig.ask(force=True) == "access-2"  # what was saved is found, and is new enough
    assert rig.ask(force=True) == "access-3"
    assert not rig.server.dead
    assert isinstance(rig.record().status, Connected)


@pytest.mark.logs
def test_a_full_disk_before_the_request_means_that_it_is_not_sent(rig: Rig) -> None:
    """No durable intent, no request; and the token that still lives is served."""
    store, _ = tight(rig)
    rig.clock.forward(minutes=59, seconds=30)
    store.full = True
    assert rig.ask(min_life=300) == "access-1"
    assert rig.server.log == []
    rig.clock.forward(minutes=5)
    with pytest.raises(Fault):
        rig.ask()
    assert rig.server.log == []
    store.full = False
    assert rig.ask() == "access-2"


# --- clocks -------------------------------------------------------------------------------------------------


def test_a_token_of_the_year_2100_is_renewed_when_the_clock_is_right_again(rig: Rig) -> None:
    rig.clock.forward(days=74 * 365)
    rig.ask(force=True)
    rig.clock.forward(days=-74 * 365)
    assert rig.record().obtained_at > rig.clock()  # type: ignore[operator]
    rig.renewer.tick()
    assert rig.server.log == ["refresh", "refresh"]
    assert rig.record().expires_at == rig.clock() + timedelta(hours=1)
    rig.renewer.tick()
    assert len(rig.server.log) == 2


def test_who_asks_for_such_a_token_gets_a_new_one(rig: Rig) -> None:
    rig.clock.forward(days=2)
    rig.ask(force=True)
    rig.clock.forward(days=-2)
    assert rig.ask() == "access-3"
    assert rig.ask() == "access-3"


def test_a_wait_noted_in_the_year_2100_is_not_waited_for(rig: Rig) -> None:
    rig.clock.forward(days=74 * 365)
    rig.server.faults = [Transient("down", sent=False)]
    with pytest.raises(Transient):
        rig.ask(force=True)
    rig.clock.forward(days=-74 * 365, hours=2)
    assert isinstance(rig.record().status, Stale)
    rig.renewer.tick()
    assert isinstance(rig.record().status, Connected)


def test_a_key_that_a_fast_clock_declared_dead_lives_again(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    rig.connect(renewable=False)
    rig.clock.forward(days=2)
    with pytest.raises(SignInNeeded):
        rig.ask()
    assert isinstance(rig.record().status, NeedsSignIn)
    rig.clock.forward(days=-2)
    assert rig.ask() == "access-1"
    assert isinstance(rig.record().status, Connected)


def test_a_clock_set_back_by_hours_renews_nothing_twice(rig: Rig) -> None:
    rig.clock.forward(minutes=55)
    rig.ask(force=True)
    rig.clock.forward(hours=-3)
    rig.ask()
    rig.renewer.tick()
    rig.renewer.tick()
    assert rig.server.log.count("refresh") <= 2
    assert not rig.server.dead


# --- keychains ----------------------------------------------------------------------------------------------


def test_a_keychain_that_answers_with_what_it_held_before_gets_a_second_look(rig: Rig) -> None:
    """The old refresh token is spent: sending it would end the family."""
    _, vault = tight(rig)
    vault.before = {"key-1/a": seal(rig.held())}
    rig.ask(force=True)
    vault.late = 4  # both slots, before the lock and under it
    rig.ask(force=True)
    assert not rig.server.dead
    assert isinstance(rig.record().status, Connected)


def test_a_keychain_that_refuses_while_an_account_is_disconnected_leaves_it_to_the_cleanup(rig: Rig) -> None:
    """A late answer is revoked, if not at once then by the cleanup; never dropped unrevoked."""
    _, vault = tight(rig)

    def disconnect() -> None:
        rig.store.update(
            "key-1",
            lambda row: replace(row, status=Disconnected(rig.clock()), epoch=row.epoch + 1, cleanup=True),
        )

    rig.server.before = disconnect
    real = vault.save

    def refuses(name: str, value: Secret) -> None:
        if name.startswith("revoke/"):
            raise KeychainError("locked", code="keychain_locked")
        real(name, value)

    vault.save = refuses  # type: ignore[method-assign]
    with pytest.raises(KeyfobError):
        rig.ask(force=True)
    rig.server.before = None
    del vault.save
    assert rig.server.revoked == []
    rig.renewer.tick()
    assert rig.server.revoked == ["refresh-2"]
    assert rig.grants.newest("key-1") is None


def test_removing_while_a_renewal_holds_on_is_refused_and_forgets_nothing(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keyfob.service.accounts.disconnecting.LOCK_WAIT", timedelta(milliseconds=50))
    with rig.locks.hold("account-key-1", timeout=timedelta(seconds=1)):
        with pytest.raises(Transient) as caught:
            rig.accounts.remove("example")
        assert caught.value.code == "still_renewing"
    assert isinstance(rig.record().status, Disconnected)
    assert rig.accounts.remove("example").revoked == "yes"
    assert rig.server.revoked == ["refresh-1"]
    assert rig.store.get("key-1") is None


# --- presets that change ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ('url = "https://id.example.org/userinfo"', 'url = "https://evil.example/userinfo"'),
        ("[revocation]", '[revocation]\nurl = "https://evil.example/revoke"'),
        ('token_endpoint = "https://id.example.org', 'token_endpoint = "https://evil.example'),
        ('userinfo_endpoint = "https://id.example.org', 'userinfo_endpoint = "https://evil.example'),
        ("[identity]\nsource", '[identity]\nurl = "https://evil.example/me"\nsource'),
        ('[api]\nbase = "https://id.example.org"', '[api]\nbase = "https://evil.example"'),
    ],
    ids=["test", "revocation", "token", "userinfo", "who-am-I", "api"],
)
def test_a_preset_that_changed_sends_no_token_to_a_new_host(rig: Rig, was: str, becomes: str) -> None:
    sent: list[str] = []
    real = rig.server.send
    rig.server.send = lambda request: (sent.append(request.url), real(request))[1]  # type: ignore[method-assign]
    file = rig.presets / "example.toml"
    text = file.read_text()
    assert was in text
    file.write_text(text.replace(was, becomes))
    accounts = rig.another_engine().accounts
    for work in (
        lambda: accounts.test("example"),
        lambda: accounts.renew("example"),
        lambda: accounts.token("example"),
        lambda: accounts.disconnect("example"),
    ):
        try:
            work()
        except KeyfobError as error:
            assert error.code in ("preset_changed", "preset_faulty"), error  # noqa: PT017
    assert not [url for url in sent if "evil" in url]
    assert rig.server.revoked == ["refresh-1"] or rig.server.revoked == ["refresh-2"]


def test_a_huge_list_of_scopes_and_a_huge_lifetime_are_bounded(rig: Rig) -> None:
    rig.server.extra = {"scope": " ".join(f"s{n}" for n in range(50_000)), "expires_in": 10**400}
    rig.ask(force=True)
    assert len(rig.record().scopes) <= 200
    assert rig.record().expires_at is not None


def test_events_are_bounded_in_length_and_of_one_line(rig: Rig) -> None:
    error = {"error": "x", "error_description": "a\r\nb\x1b[31m" * 10_000}
    rig.server.faults = [rig.server.reply(500, error)]
    with pytest.raises(Transient):
        rig.ask(force=True)
    last = rig.accounts.history("example")[-1]
    assert len(last.message) <= 300
    assert last.message.isprintable()
    note = rig.record().last_error
    assert note is not None
    assert note.message.isprintable()
    assert len(note.message) <= 300


def test_a_grant_of_a_future_version_is_no_reason_to_lose_the_other_slot(rig: Rig) -> None:
    rig.vault.save("key-1/b", Secret("00000000000000000000000000000000.{}"))
    assert rig.ask() == "access-1"
    rig.ask(force=True)
    assert isinstance(rig.held(), Grant)
    assert rig.held().generation == 2
