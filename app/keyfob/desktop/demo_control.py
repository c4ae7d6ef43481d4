"""The demo provider, for the window: starts it off the GUI thread, and
knows whether it runs or why it does not.

One QObject on the GUI thread.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from PySide6.QtCore import QObject, Signal

from keyfob.core.errors import KeyfobError
from keyfob.desktop.shared import remedies
from keyfob.desktop.shared.operation import Operation


class Demo(Protocol):
    """The demo provider, running."""

    @property
    def issuer(self) -> str:
        """Its address, where its playground is too."""

    def stop(self) -> None:
        """Stop serving. Blocks until the port is free."""


class DemoControl(QObject):
    """Starts and stops the demo provider for the app. On the GUI thread."""

    started = Signal()
    failed = Signal(str)  # why it did not start, as a sentence

    def __init__(self, make: Callable[[], Demo] | None, parent: QObject, *, at_start: bool) -> None:
        """`make` starts the provider and is called off the GUI thread; None if the demo is not installed.

        `at_start`: the user started Keyfob for the demo.
        """
        super().__init__(parent)
        self._make, self._at_start = make, at_start
        self._demo: Demo | None = None
        self._starting = False
        self.problem = ""  # why it does not run; empty if nothing is known to be wrong

    @property
    def installed(self) -> bool:
        """Whether this installation has the demo provider."""
        return self._make is not None

    @property
    def running(self) -> bool:
        """Whether the demo provider serves now."""
        return self._demo is not None

    @property
    def playground(self) -> str:
        """The address of the page that changes how the demo provider behaves; empty if it does not run."""
        return self._demo.issuer + "/" if self._demo is not None else ""

    @property
    def asked_for(self) -> bool:
        """The person started Keyfob for the demo, and it has not failed."""
        return self._at_start

    @property
    def awaited(self) -> bool:
        """Whether the app was started for the demo, and it does not serve yet."""
        return self._at_start and not self.running

    def start(self) -> None:
        """Start it if it does not run; `started` or `failed` follows."""
        if self._make is not None and self._demo is None and not self._starting:
            self._starting = True
            Operation(self, self._make, self._has_started).failing(self._has_failed).start()

    def _has_started(self, demo: Demo) -> None:
        self._demo, self._starting, self.problem = demo, False, ""
        self.started.emit()

    def _has_failed(self, error: KeyfobError) -> None:
        self._starting = self._at_start = False
        self.problem = remedies.sentence(error)
        self.failed.emit(self.problem)

    def stop(self) -> None:
        """Stop it. Blocks, so call it off the GUI thread; nothing happens if it does not run."""
        if self._demo is not None:
            self._demo.stop()
