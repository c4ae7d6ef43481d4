"""Off the GUI thread and back."""

from __future__ import annotations

import logging
import sys
import threading
from typing import Any

import pytest
from PySide6.QtCore import QObject, QThread, Signal
from pytestqt.qtbot import QtBot

from keyfob.core.errors import Fault, KeychainError, KeyfobError
from keyfob.desktop.connect.listener_thread import Threads
from keyfob.desktop.shared import operation
from keyfob.desktop.shared.operation import Operation


class Receiver(QObject):
    def __init__(self) -> None:
        super().__init__()
        self.results: list[Any] = []
        self.errors: list[KeyfobError] = []
        self.threads: list[QThread] = []

    def take(self, result: Any) -> None:
        self.results.append(result)
        self.threads.append(QThread.currentThread())

    def fail(self, error: KeyfobError) -> None:
        self.errors.append(error)
        self.threads.append(QThread.currentThread())


def test_work_is_done_elsewhere_and_told_here(qtbot: QtBot) -> None:
    receiver, here = Receiver(), threading.get_ident()
    Operation(receiver, threading.get_ident, receiver.take).start()
    qtbot.waitUntil(lambda: bool(receiver.results))
    assert receiver.results[0] != here
    assert receiver.threads == [receiver.thread()]


def test_a_known_failure_arrives_as_it_is(qtbot: QtBot) -> None:
    receiver = Receiver()

    def work() -> None:
        raise KeychainError("Locked", code="keychain_locked")

    Operation(receiver, work, receiver.take).failing(receiver.fail).start()
    qtbot.waitUntil(lambda: bool(receiver.errors))
    assert receiver.errors[0].code == "keychain_locked"
    assert receiver.threads == [receiver.thread()]


def test_a_bug_is_told_without_what_it_choked_on(qtbot: QtBot, caplog: pytest.LogCaptureFixture) -> None:
    receiver = Receiver()

    def work() -> None:
        raise ValueError("canary-secret")

    with caplog.at_level(logging.DEBUG):
        Operation(receiver, work, receiver.take).failing(receiver.fail).start()
        qtbot.waitUntil(lambda: bool(receiver.errors))
    assert isinstance(receiver.errors[0], Fault)
    assert "ValueError" in receiver.errors[0].detail
    assert "canary" not in caplog.text + receiver.errors[0].detail + receiver.errors[0].message


def test_a_result_for_nobody_is_dropped_and_the_thread_ends_in_peace(qtbot: QtBot) -> None:
    gate, results = threading.Event(), []
    parent = QObject()
    Operation(parent, gate.wait, results.append).start()
    parent.deleteLater()
    qtbot.wait(20)
    del parent
    gate.set()
    qtbot.waitUntil(lambda: not operation.running())
    assert results == []


def test_an_operation_nobody_holds_runs_to_its_end(qtbot: QtBot) -> None:
    receiver = Receiver()
    gate = threading.Event()
    Operation(receiver, lambda: gate.wait(5), receiver.take).start()
    assert len(operation.running()) == 1
    gate.set()
    qtbot.waitUntil(lambda: receiver.results == [True])
    qtbot.waitUntil(lambda: not operation.running())


def test_what_can_end_is_asked_to(qtbot: QtBot) -> None:
    receiver, gate = Receiver(), threading.Event()
    Operation(receiver, lambda: gate.wait(10), receiver.take).ending_by(gate.set).start()
    operation.ask_all_to_end()
    qtbot.waitUntil(lambda: receiver.results == [True], timeout=2000)


def test_a_listener_lives_on_a_thread_of_its_own(qtbot: QtBot) -> None:
    threads, stop, where = Threads(), threading.Event(), []

    def serve() -> None:
        where.append(QThread.currentThread().objectName())
        stop.wait(5)

    # An attempt asks for it from its own worker thread.
    worker = threading.Thread(target=threads.spawn, args=(serve, "callback listener"))
    worker.start()
    worker.join()
    qtbot.waitUntil(lambda: where == ["callback listener"])
    assert threads.alive() == 1
    stop.set()
    qtbot.waitUntil(lambda: threads.alive() == 0)


def test_a_signal_costs_no_reference_to_true(qtbot: QtBot) -> None:
    """PySide6 6.12.0 drops a reference to True at every emit under Python 3.11; after some thousands the
    interpreter dies. The dependency leaves that version out; this says so if it comes back."""

    class Sender(QObject):
        said = Signal()

    sender = Sender()
    before = sys.getrefcount(True)
    for _ in range(50):
        sender.said.emit()
    assert sys.getrefcount(True) >= before - 10
