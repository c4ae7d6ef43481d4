"""Accounts and the Renewer: what a person and the timer do with accounts that exist."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from keyfob.adapters.vault.memory import MemoryVault
from keyfob.core.account import AccountView, Connected, Disconnected, NeedsSignIn, Stale
from keyfob.core.error_codes import ErrorCode
from keyfob.core.errors import (
    KeychainError,
    KeyfobError,
    NotFound,
    PeerFault,
    SettingWrong,
    SignInNeeded,
    Transient,
    Usage,
)
from keyfob.core.http import Request, Response
from keyfob.core.preset_change import PresetChange, command_for
from keyfob.core.provider_requests import SecondPart
from keyfob.core.renewal import LOOK_AGAIN
from keyfob.core.secret import Secret
from keyfob.service.accounts.header_lines import header_lines
from keyfob.service.accounts.tool_tokens import header_of, token_of
from support.cli_run import opens, run
from support.rig import PRESET, START, Rig

OFFLINE = Transient("no network", code="network_unreachable", sent=False)


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)


def test_a_provider_names_its_only_account_and_is_ambiguous_for_two(rig: Rig) -> None:
    rig.connect()
    assert rig.accounts.view("example").id == "example/alice"
    rig.connect("key-2", "bob")
    with pytest.raises(Usage) as caught:
        rig.accounts.view("example")
    assert caught.value.code == "account_ambiguous"
    assert "example/alice" in caught.value.message
    assert "example/bob" in caught.value.message
    with pytest.raises(NotFound):
        rig.accounts.view("example/carol")


def test_a_preset_that_changed_under_an_account_is_said_and_not_used(rig: Rig) -> None:
    """New hosts get no token until the user signs in again."""
    rig.connect()
    account = rig.record().account
    rig.store.put(replace(rig.record(), account=replace(account, asked_scopes=("openid", "profile"))))
    assert rig.accounts.view("example").preset_changes == ()
    newer = PRESET.replace('"profile"]', '"profile", "email"]\nresource = "urn:example:api"')
    newer = newer.replace("[api]\n", '[api]\nhosts = ["git.example.org"]\n', 1)
    (rig.presets / "example.toml").write_text(newer)
    view = rig.accounts.view("example")
    assert view.preset_changes == (
        PresetChange("host", "git.example.org"),
        PresetChange("resource", "urn:example:api"),
        PresetChange("scope", "email"),
    )
    assert "git.example.org" not in view.hosts
    assert command_for(view.id, view.preset_changes) == "keyfob reconnect example/alice --scope email"
    assert AccountView.from_json(view.to_json()).preset_changes == view.preset_changes
    older = {**view.to_json(), "preset_changes": [{"part": "moon", "value": "x"}]}
    assert AccountView.from_json(older).preset_changes == ()
    assert (
        AccountView.from_json({k: v for k, v in older.items() if k != "preset_changes"}).preset_changes == ()
    )

    (rig.presets / "example.toml").write_text(PRESET.replace("id.example.org/token", "new.example.org/token"))
    assert rig.accounts.view("example").preset_changes == (PresetChange("server", "new.example.org"),)
    rig.accounts.disconnect("example")
    assert rig.accounts.view("example").preset_changes == ()


def test_the_json_of_an_account_is_as_promised_and_holds_no_secret(rig: Rig) -> None:
    rig.connect()
    told = rig.accounts.view("example").to_json()
    for name in [
        "id",
        "provider",
        "label",
        "method",
        "status",
        "subject",
        "name",
        "plan",
        "scopes",
        "expires_at",
        "renews_at",
        "renewable",
        "connected_at",
        "last_renewed_at",
        "grant_ends_at",
        "last_error",
    ]:
        assert name in told
    assert told["status"] == "connected"
    assert told["expires_at"] == "2026-11-20T13:00:00Z"
    assert "access-1" not in str(told)
    assert "refresh-1" not in str(told)


def test_renewing_is_seen_from_the_lock(rig: Rig) -> None:
    rig.connect()
    with rig.locks.hold("account-key-1", timeout=timedelta(seconds=1)):
        assert rig.accounts.view("example").status == "renewing"
    assert rig.accounts.view("example").status == "connected"


def test_an_expired_account_is_never_shown_as_connected_though_nobody_has_tried_yet(rig: Rig) -> None:
    rig.connect()
    rig.connect("key-2", "bob", renewable=False)
    rig.clock.forward(seconds=3599)
    assert {view.status for view in rig.accounts.views()} == {"connected"}
    rig.clock.forward(seconds=1)
    assert rig.record().status == Connected()  # nothing was written down
    assert rig.accounts.view("example/alice").to_json()["status"] == "stale"
    assert rig.accounts.view("example/bob").to_json()["status"] == "needs_sign_in"


def test_an_account_is_not_shown_as_connected_while_the_keychain_cannot_be_used(rig: Rig) -> None:
    rig.connect()
    rig.events.keychain(KeychainError("The keychain is locked", code="keychain_locked"))
    assert rig.accounts.view("example").status == "stale"


def test_test_asks_who_it_is_and_replaces_a_refused_token_once(rig: Rig) -> None:
    rig.connect()
    assert rig.accounts.test("example").name == "Alice"
    rig.server.faults = [Response(401, {"content-type": "application/json"}, b"{}", rig.clock())]
    assert rig.accounts.test("example").ok
    assert rig.server.log.count("refresh") == 1


REFUSED = Response(401, {"content-type": "application/json"}, b"{}", START)


def two_refused(rig: Rig, *, apart: int) -> None:
    """Keys of two accounts at one provider that the provider refuses when they are tested."""
    rig.connect(renewable=False)
    rig.connect("key-2", "bob", renewable=False)
    rig.connect("key-3", "carol", renewable=False)
    rig.server.faults = [REFUSED] * 4
    with pytest.raises(SignInNeeded) as first:
        rig.accounts.test("example/alice")
    assert first.value.code == "token_rejected"
    assert rig.accounts.view("example/alice").status == "needs_sign_in"
    rig.clock.forward(seconds=apart)


def test_two_accounts_refused_in_the_same_minute_are_a_sign_of_an_outage(rig: Rig) -> None:
    two_refused(rig, apart=60)
    with pytest.raises(Transient) as second:
        rig.accounts.test("example/bob")
    assert second.value.code == "refused_together"
    assert "refused the tokens of 2 accounts within a minute" in second.value.message
    assert {view.status for view in rig.accounts.views()} == {"connected"}
    assert rig.accounts.view("example/alice").last_error is None
    assert rig.accounts.token("example/alice").token == Secret("access-1")


def test_refusals_that_are_further_apart_are_about_each_key(rig: Rig) -> None:
    two_refused(rig, apart=61)
    with pytest.raises(SignInNeeded):
        rig.accounts.test("example/bob")
    statuses = {view.label: view.status for view in rig.accounts.views()}
    assert statuses == {"alice": "needs_sign_in", "bob": "needs_sign_in", "carol": "connected"}


def test_a_refusal_at_another_server_says_nothing_about_this_one(rig: Rig) -> None:
    two_refused(rig, apart=1)
    record = rig.record("key-2")
    pin = replace(record.account.pin, inputs={"instance": "other.example.org"})
    rig.store.put(replace(record, account=replace(record.account, pin=pin)))
    with pytest.raises(SignInNeeded):
        rig.accounts.test("example/bob")
    assert rig.accounts.view("example/alice").status == "needs_sign_in"


def test_test_tells_when_it_is_somebody_else(rig: Rig) -> None:
    rig.connect()
    rig.server.sub = "somebody-else"
    with pytest.raises(PeerFault) as caught:
        rig.accounts.test("example")
    assert caught.value.code == "subject_mismatch"


def test_rename_moves_no_secret(rig: Rig) -> None:
    rig.connect()
    assert rig.accounts.rename("example", "Work").id == "example/work"
    assert rig.accounts.token("example/work").token == Secret("access-1")
    rig.connect("key-2", "bob")
    with pytest.raises(Usage) as caught:
        rig.accounts.rename("example/bob", "work")
    assert caught.value.code == "label_taken"
    with pytest.raises(Usage):
        rig.accounts.rename("example/bob", "!!")


def test_a_keychain_that_refused_an_early_renewal_leaves_the_account_connected(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.connect()

    def locked(name: str, value: Secret) -> None:
        raise KeychainError("locked", code="keychain_locked")

    with monkeypatch.context() as patch:
        patch.setattr(rig.vault, "save", locked)
        with pytest.raises(KeychainError):
            rig.accounts.renew("example")
    assert rig.accounts.view("example").status == "connected"
    assert rig.accounts.token("example").token == Secret("access-1")
    rig.clock.forward(minutes=55)  # now it is due, and nobody has renewed it
    assert rig.accounts.view("example").status == "stale"
    rig.renewer.tick()
    assert rig.accounts.view("example").status == "connected"


def test_disconnect_forgets_revokes_and_keeps_the_account(rig: Rig) -> None:
    rig.connect()
    ended = rig.accounts.disconnect("example")
    assert ended.revoked == "yes"
    assert rig.server.revoked == ["refresh-1"]
    assert rig.grants.newest("key-1") is None
    assert isinstance(rig.record().status, Disconnected)
    assert rig.record().account.subject == "subject-1"
    assert rig.accounts.disconnect("example").revoked == "yes"
    assert len(rig.server.revoked) == 1


def of_access_tokens(rig: Rig) -> None:
    """The provider's preset revokes access tokens, and names the page for doing it by hand."""
    path = rig.presets / "example.toml"
    preset = path.read_text().replace(
        'style = "rfc7009"',
        'style = "rfc7009"\ntoken = "access_token"\npage = "https://id.example.org/apps"',
    )
    path.write_text(preset)


ACCEPTED, REFUSED_TOKEN = Response(202, {}, b"", START), Response(401, {}, b"", START)
MISSING = Response(404, {"content-type": "application/json"}, b'{"message": "Not Found"}', START)


def test_s59_a_revocation_that_was_accepted_is_confirmed_once_the_token_is_refused(rig: Rig) -> None:
    rig.connect()
    of_access_tokens(rig)
    rig.server.faults = [ACCEPTED, REFUSED_TOKEN]
    ended = rig.accounts.disconnect("example")
    assert (ended.revoked, ended.reason, ended.page) == ("yes", None, None)
    assert rig.server.log == ["revoke", "whoami"]


def test_s59_a_token_that_still_works_is_told_as_not_revoked_yet(rig: Rig) -> None:
    rig.connect()
    of_access_tokens(rig)
    rig.server.faults = [ACCEPTED]
    assert rig.accounts.disconnect("example").revoked == "pending"
    rig.clock.forward(minutes=5)
    rig.renewer.tick()
    assert rig.store.revocations() == []
    assert [event.kind for event in rig.store.events()].count("revoked") == 1


def test_s59_what_nothing_can_show_is_told_so(rig: Rig) -> None:
    """An access token that has expired is refused whether its grant lives or not."""
    rig.connect()
    of_access_tokens(rig)
    rig.clock.forward(hours=2)
    rig.server.faults = [Response(503, {}, b"", START), ACCEPTED]
    ended = rig.accounts.disconnect("example")
    assert (ended.revoked, ended.reason, ended.left) == ("unsupported", "unconfirmed", 1)
    assert ended.page == "https://id.example.org/apps"
    assert rig.server.log == ["refresh", "revoke"]
    assert "did not confirm that 1 sign-in ended" in rig.store.events()[-1].message


def test_s59_a_token_that_has_expired_is_renewed_to_be_revoked(rig: Rig) -> None:
    rig.connect()
    of_access_tokens(rig)
    rig.clock.forward(hours=2)
    ended = rig.accounts.disconnect("example")
    assert (ended.revoked, rig.server.log, rig.server.revoked) == ("yes", ["refresh", "revoke"], ["access-2"])
    assert rig.grants.newest("key-1") is None


@pytest.mark.parametrize("local", [True, False])
def test_nothing_is_renewed_for_a_local_disconnect_or_a_refresh_token(rig: Rig, local: bool) -> None:
    rig.connect()
    if local:
        of_access_tokens(rig)
    rig.clock.forward(hours=2)
    rig.accounts.disconnect("example", local=local)
    assert rig.server.log == ([] if local else ["revoke"])


def test_s59_a_refresh_token_that_was_taken_to_be_revoked_is_not_told_as_revoked(rig: Rig) -> None:
    rig.connect()
    rig.server.faults = [ACCEPTED]
    ended = rig.accounts.disconnect("example")
    assert (ended.revoked, ended.reason) == ("unsupported", "unconfirmed")


@pytest.mark.parametrize(
    ("lives", "revoked", "reason"), [(True, "unsupported", "refused"), (False, "yes", None)]
)
def test_s59_a_404_of_a_deletion_is_checked_with_the_token(
    rig: Rig, lives: bool, revoked: str, reason: str | None
) -> None:
    """GitHub's 404 may mean that the token is gone, or that the client may not see it."""
    rig.connect()
    of_access_tokens(rig)
    path = rig.presets / "example.toml"
    path.write_text(
        path.read_text().replace('style = "rfc7009"', 'style = "delete"\nparams = { x = "{token}" }')
    )
    rig.server.faults = [MISSING] if lives else [MISSING, REFUSED_TOKEN]
    ended = rig.accounts.disconnect("example")
    assert (ended.revoked, ended.reason) == (revoked, reason)


def test_disconnect_local_tells_the_provider_nothing(rig: Rig) -> None:
    rig.connect()
    ended = rig.accounts.disconnect("example", local=True)
    assert (ended.revoked, ended.reason, ended.left) == ("unsupported", "local", 1)
    assert rig.server.log == []
    assert rig.grants.newest("key-1") is None


def test_s59_offline_is_forgotten_here_at_once_and_revoked_later_from_the_keychain(rig: Rig) -> None:
    rig.connect()
    rig.server.faults = [OFFLINE]
    assert rig.accounts.disconnect("example").revoked == "pending"
    assert rig.grants.newest("key-1") is None
    assert len(rig.store.revocations()) == 1
    assert rig.accounts.disconnect("example").revoked == "pending"
    rig.clock.forward(minutes=5)
    rig.renewer.tick()
    assert rig.server.revoked == ["refresh-1"]
    assert rig.store.revocations() == []
    assert "revoked" in [e.kind for e in rig.store.events()]


def test_s85_a_revocation_under_way_while_the_account_is_signed_in_again_is_held(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some providers end the new sign-in too when an older one is revoked."""
    rig.connect()
    rig.server.faults = [OFFLINE]
    assert rig.accounts.disconnect("example").revoked == "pending"
    rig.clock.forward(minutes=5)
    (stale,) = rig.store.revocations()

    def send(request: Request) -> Response:
        rig.store.put_revocation(replace(stale, held=True))  # as a sign-in does that ends just now
        raise OFFLINE

    with monkeypatch.context() as patch:
        patch.setattr(rig.server, "send", send)
        rig.renewer.tick()
    (kept,) = rig.store.revocations()
    assert kept.held
    rig.disconnector.settle(stale)  # a job that was about to begin
    rig.clock.forward(minutes=60)
    rig.renewer.tick()
    assert rig.server.revoked == []
    assert [each.held for each in rig.store.revocations()] == [True]


def test_a_revocation_outlives_the_account(rig: Rig) -> None:
    rig.connect()
    rig.server.faults = [OFFLINE]
    assert rig.accounts.remove("example").revoked == "pending"
    assert rig.store.get("key-1") is None
    rig.clock.forward(minutes=5)
    rig.renewer.tick()
    assert rig.server.revoked == ["refresh-1"]


@pytest.mark.parametrize("code", ["tls_untrusted", "ca_file_faulty", "proxy_unsupported"])
def test_a_revocation_waits_until_a_setting_of_this_computer_is_corrected(rig: Rig, code: ErrorCode) -> None:
    rig.connect()
    rig.server.faults = [SettingWrong("The setting is wrong", code=code)]
    assert rig.accounts.disconnect("example").revoked == "pending"
    rig.clock.forward(minutes=5)
    rig.renewer.tick()
    assert rig.server.revoked == ["refresh-1"]


def test_a_disconnect_cut_short_by_the_keychain_is_finished_by_itself(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.connect()

    def locked(name: str) -> None:
        raise KeychainError("locked", code="keychain_locked")

    with monkeypatch.context() as patch:
        patch.setattr(rig.vault, "delete", locked)
        with pytest.raises(KeychainError) as caught:
            rig.accounts.disconnect("example")
    assert caught.value.sentence() == (
        "example/alice is disconnected, but its tokens are still stored: locked. The app or the agent "
        "deletes them and asks the provider to revoke them as soon as it can."
    )
    assert isinstance(rig.record().status, Disconnected)
    rig.renewer.tick()
    assert rig.grants.newest("key-1") is None
    assert not rig.record().cleanup
    assert rig.server.revoked[0] == "refresh-1"


def test_a_local_disconnect_that_is_finished_later_stays_local(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig.connect()

    def locked(name: str) -> None:
        raise KeychainError("locked", code="keychain_locked")

    with monkeypatch.context() as patch:
        patch.setattr(rig.vault, "delete", locked)
        with pytest.raises(KeychainError) as caught:
            rig.accounts.remove("example", local=True)
    assert "The app or the agent deletes them as soon as it can" in caught.value.message
    rig.renewer.tick()
    assert rig.grants.newest("key-1") is None
    assert not rig.record().cleanup
    assert rig.server.revoked == []
    assert rig.accounts.disconnect("example").reason == "nothing_left"


def test_a_server_that_refuses_our_client_is_not_asked_for_thirty_days(rig: Rig) -> None:
    """RFC 7009 §2.1 lets a server want client authentication, which a public client does not have."""
    rig.connect()
    refusal = b'{"error": "invalid_client"}'
    rig.server.faults = [Response(401, {"content-type": "application/json"}, refusal, rig.clock())]
    ended = rig.accounts.disconnect("example")
    assert (ended.revoked, ended.reason, ended.left) == ("unsupported", "refused", 1)
    assert rig.store.revocations() == []
    assert not [name for name in rig.vault.entries if name.startswith("revoke/")]  # type: ignore[attr-defined]
    assert rig.accounts.disconnect("example").reason == "refused"


@pytest.mark.parametrize("damaged", ["", "{", "[]", '{"grant": "x"}', '{"grant": 7}'])
def test_s85_a_damaged_revocation_is_said_and_ends_no_disconnect(rig: Rig, damaged: str) -> None:
    rig.connect()
    rig.server.faults = [OFFLINE]
    assert rig.accounts.disconnect("example").revoked == "pending"
    (pending,) = rig.store.revocations()
    rig.vault.save(pending.entry, Secret(damaged))
    rig.clock.forward(seconds=3600)
    rig.renewer.tick()
    assert rig.store.revocations() == []
    assert rig.accounts.disconnect("example").reason == "refused", "the person has to end it there"


def test_share_false_gives_no_token_to_tools_but_still_tests(rig: Rig) -> None:
    rig.connect()
    path = rig.presets / "example.toml"
    text = path.read_text().replace(
        '[policy]\nclient_id = "keyfob"',
        '[policy]\nclient_id = "keyfob"\nshare = false\nshare_reason = "Its terms say so"',
    )
    path.write_text(text)
    with pytest.raises(SettingWrong) as caught:
        rig.accounts.token("example")
    assert caught.value.code == "sharing_not_allowed"
    assert "terms" in caught.value.message
    assert rig.accounts.test("example").ok


def test_an_account_follows_its_preset_at_once(rig: Rig) -> None:
    rig.connect()
    (before,) = rig.accounts.views()
    path = rig.presets / "example.toml"
    path.write_text(path.read_text().replace(f'title = "{before.provider_title}"', 'title = "Another"'))
    (after,) = rig.accounts.views()
    assert (before.provider_title != "Another", after.provider_title) == (True, "Another")


def test_the_header_is_what_the_provider_wants(rig: Rig) -> None:
    record = rig.connect()
    provider = rig.engine.providers.get("example")
    bearer = token_of(record, provider, rig.held())
    assert bearer.header_value == Secret("Bearer access-1")
    key = replace(record, account=replace(record.account, method="api_key"))
    placed = token_of(key, provider, rig.held())
    assert (placed.header_name, placed.header_value) == ("X-Key", Secret("access-1"))


def test_a_key_that_no_header_alone_carries_gets_none(rig: Rig) -> None:
    record, provider = rig.connect(), rig.engine.providers.get("example")
    pair = replace(rig.held(), access=Secret("AKIAEXAMPLEEXAMPLE00:abcd/efgh+ijklmnopqrst"))
    two = replace(provider, api=replace(provider.api, second=SecondPart("second", "X-Two")))
    query = replace(provider, api=replace(provider.api, placement="query"))
    basic = replace(provider, api=replace(provider.api, placement="basic_password"))
    for each, grant, code in (
        (provider, pair, "key_signs_requests"),
        (two, rig.held(), "no_single_header"),
        (query, rig.held(), "no_single_header"),
    ):
        with pytest.raises(Usage) as refused:
            header_of(token_of(record, each, grant))
        assert refused.value.code == code
        assert refused.value.facts == {"account": "example/alice"}
        assert "AKIA" not in str(refused.value)
    assert header_of(token_of(record, basic, pair))[0] == "Authorization"
    assert header_lines(record, query) == {}
    assert header_lines(record, two) == {}


def test_token_header_refuses_a_key_that_signs_requests(rig: Rig) -> None:
    pair = "AKIAEXAMPLEEXAMPLE00:abcd/efgh+ijklmnopqrst"
    rig.connect()
    rig.grants.save("key-1", replace(rig.held(), access=Secret(pair), generation=2))
    ran = run(["token", "example", "--header"], opens(rig.engine))
    assert (ran.code, ran.out) == (2, "")
    assert ran.err == (
        "keyfob: The key of example/alice is an AWS key pair, which signs requests and is never sent. "
        "Give it to AWS tools with `keyfob wire aws example/alice`.\n"
    )
    assert run(["credential", "headers", "example"], opens(rig.engine)).err == ran.err
    assert run(["token", "example"], opens(rig.engine)).out == pair + "\n"


# --- the Renewer --------------------------------------------------------------------------------------------


def test_nothing_due_means_looking_again_within_37_seconds(rig: Rig) -> None:
    rig.connect()
    assert rig.renewer.tick() == LOOK_AGAIN
    assert rig.server.log == []


def test_what_is_due_is_renewed_before_it_expires(rig: Rig) -> None:
    rig.connect()
    due = rig.record().renews_at
    assert due is not None
    expires = rig.record().expires_at
    assert expires is not None
    assert timedelta(minutes=10) <= expires - due <= timedelta(minutes=11)
    rig.clock.at = due - timedelta(seconds=5)
    assert rig.renewer.tick() == timedelta(seconds=5)
    rig.clock.at = due
    rig.renewer.tick()
    assert rig.server.log == ["refresh"]
    assert rig.record().generation == 2


def test_a_margin_that_is_set_anew_counts_at_once(rig: Rig) -> None:
    rig.connect()
    before = rig.accounts.view("example").renews_at
    rig.settings.value = replace(rig.settings.value, renewal_margin=120)
    after = rig.accounts.view("example").renews_at
    assert before is not None
    assert after is not None
    assert after > before
    rig.clock.at = before
    rig.renewer.tick()
    assert rig.server.log == []


def test_a_night_asleep_is_renewed_within_one_look_and_told(rig: Rig) -> None:
    rig.connect()
    rig.renewer.tick()
    rig.clock.forward(hours=8)
    rig.renewer.tick()
    assert rig.record().status == Connected()
    assert rig.store.events()[-1].message == "Renewed after 8 h asleep"


def test_a_failed_network_signs_nobody_out_however_long_it_lasts(rig: Rig) -> None:
    rig.connect()
    for _ in range(200):
        rig.clock.forward(minutes=4)
        rig.server.faults = [OFFLINE]
        rig.renewer.tick()
    assert isinstance(rig.record().status, Stale)
    rig.server.faults = []
    rig.clock.forward(minutes=40)
    rig.renewer.tick()
    assert rig.record().status == Connected()
    failures = [e for e in rig.store.events() if e.kind == "renewal_failed"]
    assert len(failures) == 1  # said once, not at each try


def test_a_revoked_grant_becomes_needs_sign_in_and_is_said_once(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("keyfob.service.accounts.reading.SECOND_LOOK", timedelta(0))
    rig.connect()
    rig.server.dead = True
    for _ in range(5):
        rig.clock.forward(hours=1)
        rig.renewer.tick()
    assert isinstance(rig.record().status, NeedsSignIn)
    assert [e.kind for e in rig.store.events()].count("needs_sign_in") == 1
    assert rig.server.log == ["refresh"]


def test_one_providers_rate_limit_holds_back_its_other_accounts(rig: Rig) -> None:
    for n in range(3):
        rig.connect(f"key-{n}", f"user{n}")
    rig.clock.forward(minutes=55)
    rig.server.faults = [Response(429, {"retry-after": "60"}, b"", rig.clock())]
    rig.renewer.tick()
    assert rig.server.log == ["refresh"]


def test_an_api_key_reminds_once_a_week_before_it_ends(rig: Rig) -> None:
    rig.connect(renewable=False)
    ends = rig.clock() + timedelta(days=30)
    rig.store.update(
        "key-1", lambda r: replace(r, account=replace(r.account, method="api_key"), expires_at=ends)
    )
    rig.renewer.tick()
    assert "key_expiring" not in [e.kind for e in rig.store.events()]
    rig.clock.forward(days=24)
    rig.renewer.tick()
    rig.renewer.tick()
    assert [e.kind for e in rig.store.events()].count("key_expiring") == 1


def test_one_account_in_trouble_never_stops_the_others(rig: Rig) -> None:
    rig.connect("key-1", "alice")
    rig.connect("key-2", "bob")
    rig.grants.forget("key-1")
    rig.clock.forward(minutes=55)
    rig.renewer.tick()
    assert isinstance(rig.record("key-1").status, NeedsSignIn)
    assert rig.record("key-2").generation == 2


def test_a_job_that_has_changed_what_is_due_asks_for_the_next_look(rig: Rig) -> None:
    looks: list[str] = []
    rig.renewer.sooner = lambda: looks.append("look")
    rig.connect()
    rig.clock.at = rig.record().renews_at or rig.clock()
    rig.server.faults = [OFFLINE]
    rig.renewer.tick()  # fails, and is due again in 5 s
    assert looks == ["look"]
    assert rig.renewer.tick() < timedelta(seconds=7)
    rig.clock.forward(seconds=7)
    rig.renewer.tick()
    assert looks == ["look"] * 2
    assert rig.record().generation == 2


def test_an_account_that_stays_due_does_not_have_the_renewer_look_without_a_pause(
    rig: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A keychain that is locked is no failure of the account, so nothing puts off its next turn."""
    looks: list[str] = []
    rig.renewer.sooner = lambda: looks.append("look")
    rig.connect()
    rig.clock.at = rig.record().renews_at or rig.clock()

    def locked(name: str) -> None:
        raise KeychainError("locked", code="keychain_locked")

    monkeypatch.setattr(rig.vault, "load", locked)
    assert rig.renewer.tick() == LOOK_AGAIN
    assert looks == []


def test_history_is_the_accounts_own(rig: Rig) -> None:
    rig.connect()
    rig.accounts.renew("example")
    assert [e.kind for e in rig.accounts.history("example")] == ["renewed"]
    with pytest.raises(KeyfobError):
        rig.accounts.history("nobody")


# --- the keychain -------------------------------------------------------------------------------------------


class LockedVault(MemoryVault):
    """Refuses with `code`; with `writes_only` it still reads."""

    code: str | None = None
    writes_only = False

    def load(self, name: str) -> Secret | None:
        if self.code and not self.writes_only:
            raise KeychainError("The keychain is locked", code=self.code)
        return super().load(name)

    def save(self, name: str, value: Secret) -> None:
        if self.code:
            raise KeychainError("The keychain is locked", code=self.code)
        super().save(name, value)


@pytest.fixture
def locked(tmp_path: Path) -> tuple[Rig, LockedVault, list[tuple[str, str, str | None]]]:
    """An account, its vault, and the events of no account."""
    vault = LockedVault()
    rig = Rig(tmp_path, vault=vault)
    rig.connect()
    heard: list[tuple[str, str, str | None]] = []
    rig.events.subscribe(
        lambda e: heard.append((e.kind, e.account_key, e.code)) if not e.account_key else None
    )
    return rig, vault, heard


@pytest.mark.parametrize("code", ["keychain_locked", "keychain_timeout"])
def test_a_keychain_that_refuses_is_told_once_and_noted_at_the_account_that_was_due(
    locked: tuple[Rig, LockedVault, list[tuple[str, str, str | None]]], code: str
) -> None:
    """S-70."""
    rig, vault, heard = locked
    vault.code = code
    rig.renewer.tick()
    assert heard == [], "nothing was due"
    rig.clock.forward(minutes=55)
    for _ in range(3):
        rig.renewer.tick()
        rig.clock.forward(seconds=37)
    assert heard == [("keychain_trouble", "", code)]
    noted = rig.record().last_error
    assert noted is not None
    assert (noted.code, noted.advice) == (code, "unlock_keychain")
    assert noted.at < rig.clock() - timedelta(seconds=100), "written down once, not at each look"
    assert rig.accounts.view("example").status == "stale", "it lives, and nobody can hand it out"
    assert rig.another_engine().accounts.view("example").status == "stale", (
        "another process, which knows the account's note alone"
    )
    vault.code = None
    rig.renewer.tick()
    assert heard[1:] == [("keychain_well", "", None)]
    assert rig.record().last_error is None
    assert rig.accounts.view("example").status == "connected"


def test_an_unlocked_keychain_waits_for_no_backoff(
    locked: tuple[Rig, LockedVault, list[tuple[str, str, str | None]]],
) -> None:
    rig, vault, _ = locked
    vault.code, vault.writes_only = "keychain_locked", True
    rig.clock.forward(minutes=50)
    for _ in range(12):
        rig.clock.forward(seconds=37)
        rig.renewer.tick()
    vault.code = None
    assert "refresh" not in rig.server.log
    retry_at = rig.record().retry_at
    assert retry_at is not None
    assert retry_at > rig.clock()
    rig.renewer.keychain_back()
    rig.renewer.tick()
    assert rig.server.log == ["refresh"]


def test_another_error_s_backoff_stays_when_the_keychain_is_back(rig: Rig) -> None:
    rig.connect()
    rig.clock.forward(minutes=55)
    rig.server.faults = [OFFLINE]
    rig.renewer.tick()
    waits_until = rig.record().retry_at
    rig.renewer.keychain_back()
    assert rig.record().retry_at == waits_until is not None
