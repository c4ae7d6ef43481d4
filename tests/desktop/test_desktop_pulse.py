"""The renewer's heartbeat: looks at once, soon after something happened, once for many, and never after its end."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from pytestqt.qtbot import QtBot

from keyfob.core.errors import Transient
from keyfob.core.renewal import LOOK_AGAIN
from keyfob.desktop.pulse import Pulse


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
def pulse(qtbot: QtBot, renewer: Renewer) -> Pulse:
    return Pulse(renewer.tick)


def test_it_looks_when_it_is_told_to_and_after_the_span(qtbot: QtBot, pulse: Pulse, renewer: Renewer) -> None:
    renewer.wait = timedelta(milliseconds=80)
    pulse.beat()
    qtbot.waitUntil(lambda: renewer.looks >= 3)
    pulse.stop()


def test_a_long_span_is_cut(qtbot: QtBot, pulse: Pulse, renewer: Renewer) -> None:
    with qtbot.waitSignal(pulse.looked):
        pulse.beat()
    assert 0 < pulse._timer.interval() <= LOOK_AGAIN.total_seconds() * 1000
    pulse.stop()


def test_many_events_are_one_look(qtbot: QtBot, pulse: Pulse, renewer: Renewer) -> None:
    with qtbot.waitSignal(pulse.looked):
        pulse.beat()
    for _ in range(20):
        pulse.beat_soon()
    with qtbot.waitSignal(pulse.looked):
        pass
    qtbot.wait(300)
    assert renewer.looks == 2
    pulse.stop()


def test_asked_while_it_looks_it_looks_once_more(qtbot: QtBot, pulse: Pulse, renewer: Renewer) -> None:
    renewer.hold = threading.Event()
    pulse.beat()
    qtbot.waitUntil(lambda: renewer.looks == 1)
    pulse.beat()
    pulse.beat()
    renewer.hold.set()
    qtbot.waitUntil(lambda: renewer.looks == 2)
    qtbot.wait(200)
    assert renewer.looks == 2
    pulse.stop()


def test_a_failed_look_does_not_end_it(qtbot: QtBot, pulse: Pulse, renewer: Renewer) -> None:
    renewer.fails = True
    pulse.beat()
    qtbot.waitUntil(lambda: pulse._timer.isActive())
    renewer.fails = False
    with qtbot.waitSignal(pulse.looked):
        pulse.beat_soon()
    pulse.stop()


def test_after_its_end_it_never_looks(qtbot: QtBot, pulse: Pulse, renewer: Renewer) -> None:
    pulse.beat_soon()
    pulse.stop()
    pulse.beat()
    pulse.beat_soon()
    qtbot.wait(400)
    assert renewer.looks == 0
