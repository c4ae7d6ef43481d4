"""What the page of a Nexus Mods account says, without a window."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from keyfob.core.errors import Transient
from keyfob.desktop.nexus import mod_rows, viewmodel, words
from keyfob.desktop.nexus.models import NexusPage
from keyfob.desktop.nexus.spoken import Spoken
from keyfob.desktop.nexus.viewmodel import Known, Popular
from keyfob.desktop.window import detail
from keyfob.desktop.window.models import Detail
from keyfob.nexus.models import Limits, Profile
from support.nexus_samples import MB, MORROWIND, SKYRIM, item, mod, state
from support.samples import NOW, sample_views, view

PREMIUM = Profile("Aldis", 7, None, "Premium", is_premium=True)
FREE = Profile("Aldis", 7, None, "Free", is_premium=False)


def account(**more: Any) -> Detail:
    return detail.detail(view("nexusmods", "Nexus Mods", "aldis", **more), (), NOW, kept_in="Safe", zone=UTC)


def page(about: Detail | None = None, now: datetime = NOW, **known: Any) -> NexusPage:
    values: dict[str, Any] = {
        "profile": PREMIUM,
        "games": (SKYRIM, MORROWIND),
        "game": SKYRIM.domain,
        "mods": (),
    }
    return viewmodel.page(
        about or account(), Known(**(values | known)), now, renews="renews in 42 minutes", zone=UTC
    )


def test_amounts_and_times_in_words() -> None:
    assert words.amount(184 * MB, 512 * MB) == "184 of 512 MB"
    assert words.amount(1_260_000, 4_100_000) == "1.3 of 4.1 MB"
    assert words.amount(184 * MB, None) == "184 MB"
    assert words.amount(300, 800) == "300 of 800 bytes"
    assert words.amount(0, 6 * MB) == "0 of 6 MB"
    assert words.left(29.2) == "29 seconds left"
    assert words.left(0.1) == "1 second left"


def test_the_head_says_who_it_is_and_what_is_left() -> None:
    limits = Limits(476, 500, NOW + timedelta(minutes=40), 18_412, 20_000, NOW + timedelta(hours=9))
    head = page(limits=limits).head
    assert (head.title, head.badge) == ("aldis", "Premium")
    assert head.subtitle == "Nexus Mods · renews in 42 minutes"
    assert [(bar.text, bar.under, bar.tone) for bar in head.limits] == [
        ("476 of 500", "Left this hour", "ok"),
        ("18,412 of 20,000", "Left today", "ok"),
    ]


def test_under_a_tenth_a_limit_is_amber_and_says_when_there_is_more() -> None:
    limits = Limits(0, 500, NOW.replace(hour=16, minute=0), 1_412, 20_000, NOW + timedelta(hours=1))
    hour, day = page(limits=limits, now=NOW.replace(hour=15, minute=2)).head.limits
    assert (hour.under, hour.tone) == ("More at 16:00", "warn")
    assert day.under.startswith("Left today · more at ")
    assert (day.share, day.tone) == (0.0706, "warn")


def test_limits_that_are_not_known_or_have_begun_again_are_not_shown() -> None:
    assert page().head.limits == ()
    assert page(limits=Limits(3, 500, NOW - timedelta(minutes=1))).head.limits == ()


def test_a_mod_with_an_update_has_one_button_and_both_versions() -> None:
    mods = page(mods=(state(1, endorsed=True),)).mods
    (row,) = mods.rows
    assert (row.before, row.after, row.line) == ("1.8.0", "1.9.2", "by halvard · endorsed")
    assert [press.text for press in row.presses if press.shown] == ["Update"]
    assert row.accessible == "Quiet Roads, by halvard · endorsed, version 1.8.0 to 1.9.2"
    assert (mods.summary, mods.update_all) == ("1 update", "Update all")


def test_a_free_member_downloads_in_the_browser_and_cannot_update_all() -> None:
    mods = page(profile=FREE, mods=(state(1),)).mods
    assert [press.text for press in mods.rows[0].presses if press.shown] == ["Download in browser"]
    assert (mods.summary, mods.update_all) == ("1 update", "")


def test_what_is_current_hidden_or_not_to_be_compared_has_a_word_instead_of_a_button() -> None:
    rows = page(
        mods=(
            state(1, "current"),
            state(2, "hidden", available=False, status="under_moderation"),
            state(3, "unknown", installed="odd", newest=None),
        )
    ).mods.rows
    assert [row.mark.text for row in rows if row.mark] == ["Up to date", "Under review", "Not compared"]
    assert rows[1].line == "Nexus Mods is reviewing this mod"
    assert not any(press.shown for row in rows for press in row.presses)


def test_several_newer_files_are_chosen_on_the_site() -> None:
    (row,) = page(mods=(state(1, "choose"),)).mods.rows
    assert row.line == "Several newer files · by halvard"
    assert [press.text for press in row.presses if press.shown] == ["Choose a file"]


def test_a_mod_whose_file_is_coming_shows_how_far_it_is() -> None:
    mods = page(mods=(state(1), state(2)), downloads=(item(1),)).mods
    progress = mods.rows[0].progress
    assert progress is not None
    assert (progress.left, progress.right) == ("184 of 512 MB · 11.3 MB/s", "29 seconds left")
    assert [press.text for press in mods.rows[0].presses if press.shown] == ["Cancel"]
    assert [
        key
        for key, _ in viewmodel.updatable(
            Known(game=SKYRIM.domain, mods=(state(1), state(2)), downloads=(item(1),))
        )
    ] == ["skyrimspecialedition/2"]


def test_only_the_chosen_games_mods_are_listed_and_searched() -> None:
    mods = (state(1), state(2, game="morrowind"), state(3, name="Clear Maps"))
    assert [row.title for row in page(mods=mods).mods.rows] == ["Quiet Roads", "Clear Maps"]
    assert [row.title for row in page(mods=mods, search="clear MAP").mods.rows] == ["Clear Maps"]
    empty = page(mods=mods, search="nothing").mods.empty
    assert empty is not None
    assert empty.title == "No mod matches"


def test_nothing_there_yet_is_said_with_what_to_do() -> None:
    none = page(games=(), game="").mods.empty
    assert none is not None
    assert (none.title, none.button) == ("No games yet", "Add a mod…")
    other = page().mods.empty
    assert other is not None
    assert other.title == "No mods for Skyrim Special Edition yet"


def test_without_a_connection_the_last_content_stays_and_says_from_when_it_is() -> None:
    problem = Transient("Nexus Mods cannot be reached", code="network_unreachable")
    part = page(mods=(state(1),), mods_at=NOW - timedelta(hours=1), mods_problem=problem).mods
    assert part.note is not None
    assert part.note.title == "Nexus Mods cannot be reached"
    assert "You see what was loaded at 14:00." in part.note.text
    assert part.note.button == "Try again"
    assert [row.title for row in part.rows] == ["Quiet Roads"]


def test_limits_that_are_used_up_say_when_there_is_more() -> None:
    limits = Limits(0, 500, NOW.replace(hour=16, minute=0), 0, 20_000, NOW + timedelta(hours=9))
    problem = Transient("Nexus Mods allows no more requests")
    note = page(limits=limits, mods=(state(1),), mods_at=NOW, mods_problem=problem).mods.note
    assert note is not None
    assert note.title == "This account has no requests left"
    assert note.text.startswith("More at 16:00.")
    assert not note.button


def test_signed_out_the_page_says_what_signing_in_gives() -> None:
    ended = next(each for each in sample_views() if each.status == "needs_sign_in")
    about = detail.detail(
        replace(ended, provider="nexusmods", provider_title="Nexus Mods"), (), NOW, kept_in="Safe", zone=UTC
    )
    shown = page(about, profile=None, games=None, mods=None, game="")
    for part in (shown.mods, shown.trending, shown.downloads):
        assert part.note is not None
        assert (part.note.tone, part.note.button) == ("warn", "Reconnect")
    assert shown.mods.empty is not None
    assert "newer version" in shown.mods.empty.text
    assert not shown.mods.empty.button  # the note has it
    assert shown.head.limits == ()


def test_disconnected_the_page_has_the_button_itself() -> None:
    about = account(status="disconnected")
    shown = page(about, profile=None, games=None, mods=None, game="")
    assert shown.mods.note is None
    assert shown.mods.empty is not None
    assert shown.mods.empty.button == "Sign in…"


def test_adult_mods_are_hidden_unless_chosen() -> None:
    popular = {(SKYRIM.domain, "trending"): Popular((mod(1), mod(2, "Another", adult=True)), NOW)}
    part = page(popular=popular).trending
    assert [card.title for card in part.cards] == ["Quiet Roads"]
    assert part.hidden == "1 adult mod is hidden."
    part = page(popular=popular, adult=True).trending
    assert [card.title for card in part.cards] == ["Quiet Roads", "Another"]
    assert part.cards[1].picture
    (row,) = page(mods=(state(2, adult=True),)).mods.rows
    assert row.picture == ""  # the person's own mod is listed, without its picture


def test_a_card_says_what_is_installed_tracked_or_on_its_way() -> None:
    popular = {(SKYRIM.domain, "trending"): Popular((mod(1), mod(2), mod(3)), NOW)}
    cards = page(popular=popular, mods=(state(1, "current"),), downloads=(item(2),)).trending.cards
    assert [card.mark.text if card.mark else "" for card in cards] == ["Installed", "In Downloads", ""]
    assert [press.text for press in cards[0].presses] == ["Open page", "Stop tracking"]
    assert [press.text for press in cards[2].presses] == ["Download", "Open page", "Track"]
    assert cards[2].line == "by halvard · 12,804 downloads"


def test_downloads_that_run_come_first_and_ended_ones_say_how_it_went() -> None:
    items = (
        item(1),
        item(2, "done", "Clear Maps", md5_checked=True, total=38_200_000, version="2.4.1"),
        item(3, "stopped", "Northern Flora", problem="The connection broke at 612 of 1,840 MB"),
        item(4, "done", "Bells", total=4_100_000, at=NOW - timedelta(days=1)),
    )
    part = page(downloads=items).downloads
    assert [row.title for row in part.running] == ["Quiet Roads 1.9.2"]
    assert [(row.mark.text if row.mark else "", row.line) for row in part.earlier] == [
        ("Checked", "38.2 MB · today at 14:00"),
        ("Stopped", "The connection broke at 612 of 1,840 MB"),
        ("Complete", "4.1 MB · yesterday at 15:00"),
    ]
    assert dict(page(downloads=items).counts)["downloads"] == 1


@pytest.mark.parametrize(
    ("kind", "left", "buttons"),
    [
        ("running", "184 of 512 MB · 11.3 MB/s", ["Pause", "Cancel"]),
        ("paused", "Paused at 184 of 512 MB", ["Continue", "Cancel"]),
        ("waiting", "Waiting for its turn", ["Pause", "Cancel"]),
        ("link", mod_rows.PRESS_ON_SITE, ["Open page", "Cancel"]),
        ("checking", "Checking the file…", []),
    ],
)
def test_each_state_of_a_download(kind: str, left: str, buttons: list[str]) -> None:
    (row,) = page(downloads=(item(1, kind),)).downloads.running
    assert row.progress is not None
    assert row.progress.left == left
    assert [press.text for press in row.presses] == buttons


def test_a_file_of_unknown_size_has_a_bar_without_an_end() -> None:
    (row,) = page(downloads=(item(1, total=None, seconds_left=None),)).downloads.running
    assert row.progress is not None
    assert row.progress.share is None
    assert row.progress.left == "184 MB · 11.3 MB/s"


def test_folders_in_the_home_are_shown_without_it() -> None:
    shown = page(folder=Path("/home/aldis/Games/Mods"), home=Path("/home/aldis"))
    assert shown.folder == "Downloads go to Games/Mods."
    assert page(folder=Path("/mnt/mods"), home=Path("/home/aldis")).folder == "Downloads go to /mnt/mods."


def test_details_have_what_is_known() -> None:
    known = mod_rows.details(mod(1), state(1), None, NOW, UTC)
    assert dict(known.facts) == {
        "Installed": "1.8.0", "Newest": "1.9.2", "Updated": "Wednesday at 15:00", "Downloads": "12,804",
        "Number": "1",
    }  # fmt: skip


def test_screen_readers_hear_the_start_the_half_and_the_end_of_a_download_once_each() -> None:
    spoken = Spoken()
    assert spoken.news([item(9, "done")]) == []  # it was there before
    heard = []
    for kind, received in (
        ("waiting", 0), ("running", 1), ("running", 100), ("running", 256), ("running", 400),
        ("checking", 512), ("done", 512),
    ):  # fmt: skip
        heard += spoken.news([item(9, "done"), item(1, kind, received=received * MB)])
    assert heard == [
        "Downloading Quiet Roads 1.9.2",
        "Quiet Roads 1.9.2: half is downloaded",
        "Quiet Roads 1.9.2 is downloaded",
    ]
    stopped = item(2, "stopped", problem="The disk is full")
    assert spoken.news([stopped]) == ["Quiet Roads 1.9.2 stopped. The disk is full"]


def test_2000_mods_are_made_into_rows_once() -> None:
    """While a file is coming, the page is made again some times a second."""
    mods = tuple(state(number, "current", f"Mod {number}") for number in range(2000))
    first = page(mods=mods).mods.rows
    again = page(mods=mods, downloads=(item(1, received=200 * MB),)).mods.rows
    assert sum(one is not other for one, other in zip(first, again, strict=True)) == 1
