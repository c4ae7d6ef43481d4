"""The renewer's heartbeat: looks at once, soon after something happened,
once for many, and never after its end.
"""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from pytestqt.qtbot import QtBot

from keyfob.core.errors import Transient
from keyfob.core.renewal import LOOK_AGAIN
from keyfob.desktop.renewal_timer import RenewalTimer


class Renewer:
    """Counts looks; the span until the next is what a test set."""

    def __init__(self) -> None:
        self.looks = 0
        self.wait = timedelta(hours=1)
        self.fails = False
        self.hold: threading.Event | None = None

    def tick(self) -> timedelta:
        self.looks += 1
        if self.hold is not None:
            self.hold.wait(10)
        if self.fails:
            raise Transient("down", code="network_unreachable")
        return self.wait


@pytest.fixture
def renewer() -> Renewer:
    return Renewer()


@pytest.fixture
def renewal_timer(qtbot: QtBot, renewer: Renewer) -> RenewalTimer:
    return RenewalTimer(renewer.tick)


def test_it_looks_when_it_is_told_to_and_after_the_span(
    qtbot: QtBot, renewal_timer: RenewalTimer, renewer: Renewer
) -> None:
    renewer.wait = timedelta(milliseconds=80)
    renewal_timer.tick_now()
    qtbot.waitUntil(lambda: renewer.looks >= 3)
    renewal_timer.stop()


def test_a_long_span_is_cut(qtbot: QtBot, renewal_timer: RenewalTimer, renewer: Renewer) -> None:
    with qtbot.waitSignal(renewal_timer.looked):
        renewal_timer.tick_now()
    assert 0 < renewal_timer.timer.interval() <= LOOK_AGAIN.total_seconds() * 1000
    renewal_timer.stop()


def test_many_events_are_one_look(qtbot: QtBot, renewal_timer: RenewalTimer, renewer: Renewer) -> None:
    with qtbot.waitSignal(renewal_timer.looked):
        renewal_timer.tick_now()
    for _ in range(20):
        renewal_timer.beat_soon()
    with qtbot.waitSignal(renewal_timer.looked):
        pass
    qtbot.wait(300)
    assert renewer.looks == 2
    renewal_timer.stop()


def test_asked_while_it_looks_it_looks_once_more(
    qtbot: QtBot, renewal_timer: RenewalTimer, renewer: Renewer
) -> None:
    renewer.hold = threading.Event()
    renewal_timer.tick_now()
    qtbot.waitUntil(lambda: renewer.looks == 1)
    renewal_timer.tick_now()
    renewal_timer.tick_now()
    renewer.hold.set()
    qtbot.waitUntil(lambda: renewer.looks == 2)
    qtbot.wait(200)
    assert renewer.looks == 2
    renewal_timer.stop()


def test_a_failed_look_does_not_end_it(qtbot: QtBot, renewal_timer: RenewalTimer, renewer: Renewer) -> None:
    renewer.fails = True
    renewal_timer.tick_now()
    qtbot.waitUntil(renewal_timer.timer.isActive)
    renewer.fails = False
    with qtbot.waitSignal(renewal_timer.looked):
        renewal_timer.beat_soon()
    renewal_timer.stop()


def test_after_its_end_it_never_looks(qtbot: QtBot, renewal_timer: RenewalTimer, renewer: Renewer) -> None:
    renewal_timer.beat_soon()
    renewal_timer.stop()
    renewal_timer.tick_now()
    renewal_timer.beat_soon()
    qtbot.wait(400)
    assert renewer.looks == 0
