"""Which file of a mod is the newest: the rules of the vendor's managers and of Mod Organizer 2."""

from __future__ import annotations

from datetime import timedelta

import pytest

from keyfob.nexus.newer import find, period_for, successors
from keyfob.nexus.reading import ARCHIVED, MAIN, OLD_VERSION, OPTIONAL, REMOVED, ModFile, ModFiles


def file(file_id: int, version: str = "", category: int = MAIN) -> ModFile:
    return ModFile(file_id, "A", version or f"{file_id}.0", category, 1, "a.zip", file_id)


def found(
    files: list[ModFile], replaced: list[tuple[int, int]], **own: int | str | None
) -> tuple[str, int | None]:
    result = find(ModFiles(tuple(files), tuple(replaced)), own.get("id"), own.get("version"))  # type: ignore[arg-type]
    return result.state, result.file.file_id if result.file else None


def test_the_chain_is_followed_to_its_end() -> None:
    files = [file(1, category=OLD_VERSION), file(2, category=OLD_VERSION), file(3)]
    assert found(files, [(1, 2), (2, 3)], id=1) == ("update", 3)
    assert found(files, [(1, 2), (2, 3)], id=3) == ("current", 3)


def test_removed_and_missing_files_at_the_end_are_walked_back_past() -> None:
    files = [file(1, category=OLD_VERSION), file(2), file(3, category=REMOVED)]
    assert found(files, [(1, 2), (2, 3), (3, 4)], id=1) == ("update", 2)
    # The last active one wins over a later old one.
    files = [file(1, category=OLD_VERSION), file(2, category=OPTIONAL), file(3, category=OLD_VERSION)]
    assert found(files, [(1, 2), (2, 3)], id=1) == ("update", 2)
    # None is active: the last that is listed.
    files = [file(1, category=ARCHIVED), file(2, category=OLD_VERSION)]
    assert found(files, [(1, 2)], id=1) == ("update", 2)


def test_a_chain_in_a_circle_ends() -> None:
    assert successors(((1, 2), (2, 3), (3, 2)), 1) == [2, 3]
    assert found([file(1, category=OLD_VERSION), file(2)], [(1, 2), (2, 1)], id=1) == ("update", 2)


def test_without_a_chain_an_own_file_that_is_offered_is_current() -> None:
    assert found([file(1), file(2, category=OPTIONAL)], [], id=1) == ("current", 1)


def test_without_a_chain_an_old_file_has_one_successor_or_the_user_chooses() -> None:
    assert found([file(1, category=OLD_VERSION), file(2)], [], id=1) == ("update", 2)
    assert found([file(2)], [], id=1) == ("update", 2)  # archived: not listed at all
    assert found([file(1, category=OLD_VERSION), file(2), file(3, category=OPTIONAL)], [], id=1) == (
        "choose",
        None,
    )
    assert found([file(1, category=REMOVED)], [], id=1) == ("unknown", None)
    assert found([], [], id=1) == ("unknown", None)
    assert found([file(1, category=OLD_VERSION)], [], id=1) == ("choose", None)


def test_a_known_version_finds_its_file() -> None:
    files = [file(1, "1.0", OLD_VERSION), file(2, "1.1")]
    assert found(files, [(1, 2)], version="1.0") == ("update", 2)
    assert found(files, [], version="1.1") == ("current", 2)


def test_a_version_that_no_file_has_is_compared() -> None:
    files = [file(2, "1.10"), file(3, "0.1", OPTIONAL)]
    assert found(files, [], version="1.9") == ("update", 2)
    assert found(files, [], version="2.0") == ("current", 2)
    assert found([file(2, "final")], [], version="1.9") == ("choose", 2)  # no order
    assert found([file(2, "1"), file(3, "1")], [], version="1") == ("current", 2)
    assert found([file(2), file(3)], [], version="1") == ("choose", None)


def test_what_is_not_installed_is_unknown() -> None:
    assert found([file(2)], []) == ("unknown", 2)
    assert found([file(2), file(3, category=OPTIONAL)], []) == ("unknown", 2)
    assert found([file(2), file(3)], []) == ("unknown", None)


@pytest.mark.parametrize(
    ("since", "period"),
    [
        (None, None),
        (timedelta(minutes=1), "1d"),
        (timedelta(hours=23), "1d"),
        (timedelta(hours=23, minutes=58), "1w"),  # the server's list may be five minutes old
        (timedelta(days=6), "1w"),
        (timedelta(days=20), "1m"),
        (timedelta(days=28), None),  # no list goes back so far: each mod is asked for
        (timedelta(days=400), None),
    ],
)
def test_the_shortest_list_that_covers_the_time_is_asked_for(
    since: timedelta | None, period: str | None
) -> None:
    assert period_for(since) == period
