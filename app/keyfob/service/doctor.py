"""The doctor: checks everything that Keyfob needs, one line each, and says what to do about each failure."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from keyfob.core.errors import KeyfobError
from keyfob.core.words import FindingName
from keyfob.service.accounts.views import Finding

Check = Callable[[], Finding]


class Doctor:
    """Runs the checks it was given, in order. Blocking; each check is bounded in time by what it calls."""

    def __init__(
        self, checks: Sequence[tuple[FindingName, Check]], tray: Callable[[bool | None], Finding]
    ) -> None:
        self._checks = checks
        self._tray = tray

    def run(self, tray: bool | None = None) -> list[Finding]:
        """`tray`: whether this desktop has one, if the caller can tell. Never raises for a failing check."""
        findings = [_guarded(name, check) for name, check in self._checks]
        return [*findings, _guarded("tray", lambda: self._tray(tray))]


def _guarded(name: FindingName, check: Check) -> Finding:
    try:
        return check()
    except KeyfobError as error:
        return Finding(name, False, error.message, "fail", error.code, error.facts)
    except Exception as bug:
        # A check that breaks is itself something to report, and must not hide the others.
        return Finding(name, False, f"This check failed: {type(bug).__name__}", "fail", "check_failed")
