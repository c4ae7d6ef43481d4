"""What the window says of each account, without a window."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, timedelta

import pytest

from keyfob.core.account import AccountView, ErrorNote, LoggedEvent
from keyfob.core.error_codes import CODES, Advice
from keyfob.core.preset_change import PresetChange
from keyfob.desktop.window import detail as page
from keyfob.desktop.window import history, status_text, viewmodel
from keyfob.desktop.window.banners import banner_id
from keyfob.desktop.window.models import Banner, Window
from support.samples import NOW, M, sample_events, sample_views, view

VIEWS = {v.provider: v for v in sample_views()}


FIRST = object()


def window(views: list[AccountView], shown: object = FIRST, **more: object) -> Window:
    """The window with the first account's page, or with that of `shown`."""
    key = views[0].key if views and shown is FIRST else shown if isinstance(shown, str) else None
    return viewmodel.window(views, key, (), NOW, kept_in="Safe", zone=UTC, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("provider", "tone", "shape"),
    [
        ("nexusmods", "ink2", "renew"),
        ("openai", "ink2", ""),
        ("google", "warn", "triangle"),
        ("mastodon", "warn", "clock"),
        ("keycloak", "accent", "arc"),
        ("spotify", "ink2", "ring"),
    ],
)
def test_what_is_not_well_stands_out_in_the_list(provider: str, tone: str, shape: str) -> None:
    row = viewmodel.row(VIEWS[provider], NOW)
    assert (row.tone, row.shape) == (tone, shape)


@pytest.mark.parametrize(
    ("provider", "headline", "side"),
    [
        ("nexusmods", "Renews automatically in 42 minutes", "42 min"),
        ("github", "Renews automatically in 7 hours 20 minutes", "7 h"),
        ("google", "The sign-in has ended", "sign in"),
        ("openai", "This key does not expire", "no expiry"),
        ("mastodon", "Expired 14:58", "waiting"),
        ("keycloak", "Renewing now", "renewing"),
        ("spotify", "Disconnected", "off"),
    ],
)
def test_each_state_in_words(provider: str, headline: str, side: str) -> None:
    account = VIEWS[provider]
    assert status_text.headline(account, NOW, UTC)[0] == headline
    assert viewmodel.row(account, NOW).side == side


def test_a_row_is_made_again_only_if_it_says_something_else() -> None:
    account = VIEWS["nexusmods"]
    row = viewmodel.row(account, NOW)
    assert viewmodel.row(replace(account), NOW + timedelta(seconds=30)) is not row, "the minute has passed"
    assert viewmodel.row(replace(account), NOW) is row
    assert viewmodel.row(account, NOW, pictures={account.key: "file"}) != row
    assert viewmodel.row(account, NOW, twins=True).subtitle == "Nexus Mods · premium · aldis"


def test_rows_read_as_assistive_technology_is_promised() -> None:
    assert viewmodel.row(VIEWS["nexusmods"], NOW).accessible == "nexusmods/aldis, connected"
    assert viewmodel.row(VIEWS["google"], NOW).accessible == "google/work@example.org, needs_sign_in"


def test_the_life_bar_has_its_renewal_mark() -> None:
    life = page.life(VIEWS["nexusmods"], NOW, UTC)
    assert life is not None
    assert life.lived == pytest.approx(58 / 110)
    assert life.mark == pytest.approx(100 / 110)
    assert (life.start, life.mark_text, life.end) == ("Issued 14:02", "Renews 15:42", "Ends 15:52")


@pytest.mark.parametrize("provider", ["google", "openai", "spotify"])
def test_no_bar_where_there_is_no_life_to_draw(provider: str) -> None:
    assert page.life(VIEWS[provider], NOW, UTC) is None


def test_a_short_life_is_told_to_the_second() -> None:
    account = view("demo", "Demo", "alice", obtained_at=NOW, expires_at=NOW + M, renews_at=NOW + 48 * M / 60)
    life = page.life(account, NOW, UTC)
    assert life is not None
    assert life.end == "Ends 15:01:12"
    assert window([account]).urgent


def test_a_failing_renewal_of_a_living_token_alarms_nobody() -> None:
    note = ErrorNote("provider_unavailable", "Busy", Advice.RETRY, NOW)
    account = replace(VIEWS["nexusmods"], last_error=note)
    first, second = status_text.headline(account, NOW, UTC)
    assert first == "Renews when Nexus Mods answers"
    assert second.startswith("Busy. Keyfob tries again at 15:42.")
    assert "valid for another 52 minutes" in second
    assert window([account]).banners == ()
    assert window([account]).tray == "fine"


def test_no_code_stands_in_a_sentence_but_in_the_details() -> None:
    for account in VIEWS.values():
        detail = page.detail(account, (), NOW, kept_in="Safe", zone=UTC)
        banners = window([account], shown=None).banners
        said = [detail.headline, detail.note, detail.status, *(b.title + b.text for b in banners)]
        if detail.problem:
            said += [detail.problem.title, detail.problem.text]
        assert bool(detail.details) is (account.last_error is not None)
        if account.last_error:
            assert f"code: {account.last_error.code}" in detail.details
            assert f"detail: {account.last_error.detail}" in detail.details
            assert ": " in account.last_error.detail, "the provider's own words"
        assert not [code for code in CODES if "_" in code for text in said if code in text]


def test_the_tooltip_says_what_the_time_counts_down_to() -> None:
    assert viewmodel.row(view("x", "X", "a"), NOW).tooltip.endswith("x/a: connected, renews in 42 min")
    fixed = view("x", "X", "a", renewable=False, renews_at=None)
    assert viewmodel.row(fixed, NOW).tooltip.endswith("x/a: connected, ends in 52 min")
    endless = view("x", "X", "a", method="api_key", renewable=False, renews_at=None, expires_at=None)
    assert viewmodel.row(endless, NOW).tooltip.endswith("x/a: connected")
    waiting = view("x", "X", "a", status="stale")
    assert viewmodel.row(waiting, NOW).tooltip.endswith("x/a: waiting")


def test_an_account_on_this_computer_needs_no_network() -> None:
    local = view("demo", "Demo", "a", issuer="http://127.0.0.1:9899", hosts=("127.0.0.1:9899",))
    far = view("x", "X", "b", hosts=("api.example.org",))
    alone = viewmodel.window([local], local.key, (), NOW, kept_in="Safe", offline=True)
    assert (alone.summary_note, alone.tray) == ("all fine", "fine")
    both = viewmodel.window([local, far], local.key, (), NOW, kept_in="Safe", offline=True)
    assert (both.summary_note, both.tray) == ("all fine · offline", "waiting")


@pytest.mark.parametrize(
    ("statuses", "offline", "state"),
    [
        ([], False, "fine"),
        (["connected"], False, "fine"),
        (["connected"], True, "waiting"),
        (["disconnected"], True, "fine"),
        (["connected", "renewing"], False, "renewing"),
        (["stale", "renewing"], False, "waiting"),
        (["needs_sign_in", "stale", "renewing"], False, "needs_you"),
        (["disconnected", "connected"], False, "fine"),
    ],
)
def test_the_tray_tells_the_worst(statuses: list[str], offline: bool, state: str) -> None:
    views = [view("demo", "Demo", str(n), status=s) for n, s in enumerate(statuses)]
    assert viewmodel.tray_state(views, offline=offline) == state


def test_the_summary_counts() -> None:
    assert viewmodel.summary(list(VIEWS.values())) == (
        "8 accounts",
        "5 fine · 1 needs you · 1 waiting · 1 off",
    )
    assert viewmodel.summary([VIEWS["nexusmods"]]) == ("1 account", "all fine")
    assert viewmodel.summary([]) == ("No accounts yet", "")


def test_a_banner_put_off_stays_away_until_something_changes() -> None:
    account = VIEWS["google"]
    assert [b.title for b in window([account], shown=None).banners] == ["work@example.org needs you"]
    hidden = frozenset({banner_id(account)})
    assert window([account], shown=None, hidden=hidden).banners == ()
    assert account.last_error is not None
    again = replace(account, last_error=replace(account.last_error, at=NOW))
    assert len(window([again], shown=None, hidden=hidden).banners) == 1


def test_many_in_trouble_are_one_banner() -> None:
    views = [replace(VIEWS["google"], key=f"k{n}", label=f"p{n}") for n in range(4)]
    (banner,) = window(views, shown=None).banners
    assert banner.title == "4 accounts need you"
    assert banner.action == "show"
    (banner,) = window(views).banners
    assert (banner.title, banner.key) == ("3 other accounts need you", "k1")


def test_a_key_is_named_before_it_expires() -> None:
    key = replace(VIEWS["openai"], expires_at=NOW + timedelta(days=3))
    (banner,) = window([key], shown=None).banners
    assert "about to expire" in banner.title
    assert window([key]).banners == ()
    detail = window([key]).detail
    assert detail is not None
    assert detail.problem is not None
    assert detail.problem.title == "Create a new key at OpenAI"
    assert "stops working on 23 November 2026" in detail.problem.text
    assert window([replace(key, expires_at=NOW + timedelta(days=30))]).banners == ()


def test_a_token_that_terms_keep_private_cannot_be_copied() -> None:
    detail = page.detail(replace(VIEWS["nexusmods"], shareable=False), (), NOW, kept_in="Safe")
    assert not detail.can_copy
    assert "terms" in detail.copy_reason


def test_an_expired_token_cannot_be_copied() -> None:
    assert not page.detail(VIEWS["mastodon"], (), NOW, kept_in="Safe").can_copy


def test_two_of_one_name_are_told_apart() -> None:
    rows = window([VIEWS["nexusmods"], VIEWS["spotify"]]).rows
    assert rows[0].title == rows[1].title
    assert rows[1].subtitle == "Spotify · aldis"


def test_runs_of_renewals_are_one_line() -> None:
    events = [LoggedEvent(NOW - n * M, "a/b", "k", "renewed", "Renewed", None, -n) for n in range(12)]
    (line,) = history.lines(events, NOW, UTC)
    assert line.text == "Renewed, 12 times since 14:49"


def test_history_is_newest_first_and_the_strip_oldest_first() -> None:
    events = sample_events("k")
    lines = history.lines(events, NOW, UTC)
    assert [line.text for line in lines][:2] == ["Renewed", "Renamed from al to aldis"]
    points = history.points(events, NOW)
    assert [p.place for p in points] == sorted(p.place for p in points)
    assert all(0 <= p.place <= 1 for p in points)


CONNECTED = VIEWS["nexusmods"]
KEY = replace(VIEWS["openai"], expires_at=NOW + M)
BANNER = Banner("bad", "Your keychain is locked", "Unlock it.", "Try again", "keychain", "", None)


@pytest.mark.parametrize("later", [timedelta(minutes=52), timedelta(minutes=53), timedelta(days=40)])
def test_an_expired_token_is_never_connected(later: timedelta) -> None:
    """Nothing has happened to the account: the time alone passed."""
    now = NOW + later
    shown = viewmodel.window([CONNECTED], CONNECTED.key, (), now, kept_in="Safe", zone=UTC)
    assert (shown.rows[0].side, shown.rows[0].tone, shown.rows[0].shape) == ("waiting", "warn", "clock")
    assert shown.rows[0].accessible == "nexusmods/aldis, stale"
    assert (shown.summary_note, shown.tray, shown.tray_text) == ("1 waiting", "waiting", "Keyfob: 1 waiting")
    assert shown.tray_lines[0][1:] == ("Aldis · Nexus Mods — waiting", "warn", "clock")
    detail = shown.detail
    assert detail is not None
    assert (detail.status, detail.tone, detail.can_copy, detail.can_renew) == ("Waiting", "warn", False, True)
    assert detail.headline.startswith("Expired ")
    assert detail.life is not None
    assert (detail.life.tone, detail.life.lived) == ("warn", 1.0)


def test_until_its_end_it_is_connected() -> None:
    now = NOW + timedelta(minutes=52) - timedelta(microseconds=1)
    shown = viewmodel.window([CONNECTED], CONNECTED.key, (), now, kept_in="Safe", zone=UTC)
    assert (shown.rows[0].tone, shown.tray, shown.summary_note) == ("ink2", "fine", "all fine")


def test_what_has_expired_and_cannot_be_renewed_needs_the_person() -> None:
    now = NOW + M
    other = viewmodel.window([KEY], None, (), now, kept_in="Safe", zone=UTC)
    assert (other.tray, other.summary_note) == ("needs_you", "1 needs you")
    assert [(b.text, b.button) for b in other.banners] == [
        ("The key has expired. (15:01)", "Enter a new key")
    ]
    shown = viewmodel.window([KEY], KEY.key, (), now, kept_in="Safe", zone=UTC)
    assert shown.banners == ()
    assert shown.detail is not None
    assert shown.detail.problem is not None
    assert (shown.detail.problem.title, shown.detail.problem.button) == ("This key has expired", "Reconnect")
    assert (shown.detail.headline, shown.detail.can_copy) == ("This key has expired", False)


def test_a_renewal_of_an_expired_token_hands_nothing_out() -> None:
    account = replace(CONNECTED, status="renewing")
    detail = page.detail(account, (), NOW + timedelta(hours=1), kept_in="Safe", zone=UTC)
    assert (detail.status, detail.can_copy) == ("Renewing", False)


def test_keychain_trouble_needs_the_person() -> None:
    shown = window([CONNECTED, VIEWS["bluesky"]], keychain=BANNER)
    assert shown.tray == "needs_you"
    assert shown.summary_note == "your keychain needs you"
    assert shown.tray_text == "Keyfob: your keychain needs you"
    assert window([VIEWS["google"]], keychain=BANNER).summary_note == "your keychain and 1 account need you"
    assert {row.tone for row in shown.rows} == {"warn"}
    assert shown.detail is not None
    assert (shown.detail.headline, shown.detail.can_copy) == ("Waiting for your keychain", False)
    assert viewmodel.window([], None, (), NOW, kept_in="", keychain=BANNER).tray == "needs_you"


def test_nothing_is_said_of_accounts_that_are_not_known_yet() -> None:
    shown = viewmodel.window((), None, (), NOW, kept_in="", loading=True)
    assert (shown.summary, shown.summary_note, shown.tray_text) == ("", "", "Keyfob")
    assert viewmodel.window((), None, (), NOW, kept_in="").summary == "No accounts yet"


def test_the_next_change_is_the_next_expiry() -> None:
    assert viewmodel.next_change([VIEWS["nexusmods"], VIEWS["bluesky"]], NOW) == NOW + timedelta(minutes=52)
    assert viewmodel.next_change([VIEWS["openai"]], NOW) is None


def test_the_page_says_that_the_preset_has_changed_and_what_to_do() -> None:
    def note(*changes: PresetChange) -> str:
        view = replace(VIEWS["github"], preset_changes=changes)
        return page.detail(view, (), NOW, kept_in="Safe", zone=UTC).note

    assert "preset" not in note()
    host, scope = PresetChange("host", "git.corp.example"), PresetChange("scope", "email")
    assert note(host, scope).endswith(
        "The preset of GitHub has changed: host git.corp.example, scope email. To use it for this account, "
        "choose Sign in again in its menu."
    )
    assert note(scope).endswith("run keyfob reconnect github/aldis-k --scope email.")
    assert "and 1 more" in note(
        host, scope, PresetChange("host", "b.example"), PresetChange("host", "c.example")
    )


def test_s86_the_page_of_an_account_without_tls_says_so() -> None:
    safe = page.detail(VIEWS["github"], (), NOW, kept_in="Safe", zone=UTC)
    assert "Unencrypted" not in safe.subtitle
    assert not [value for name, value in safe.facts if name == "Connection"]
    open_ = page.detail(replace(VIEWS["github"], unencrypted=True), (), NOW, kept_in="Safe", zone=UTC)
    assert "Unencrypted" in open_.subtitle
    assert ("Connection", "Unencrypted (http)") in open_.facts
