"""The doctor: checks everything that Keyfob needs, one step each, and says what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace

from keyfob.core.errors import KeyfobError
from keyfob.core.words import FindingName
from keyfob.service.accounts.views import Finding

Check = Callable[[], Finding]

# Everything with a name, in the order in which one depends on the other. `provider` stands for all of them.
ORDER: tuple[FindingName, ...] = (
    "keychain", "callback_port", "browser", "clock", "ca", "tray",
    "proxy", "network", "provider",
    "settings", "store", "presets", "agent", "tools", "consent", "gateway", "log",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Step:
    """One check that has not run yet. `subject`: of several with this name, the provider's title. `provider`:
    its id if the preset comes with Keyfob, so that a report may name it.
    """

    name: FindingName
    check: Check
    subject: str = ""
    provider: str = ""

    def run(self) -> Finding:
        """What it finds. Never raises for a failing check. Blocks as long as what it calls."""
        return replace(_guarded(self.name, self.check), subject=self.subject)


class Doctor:
    """Plans and runs the checks. Blocking; each check is bounded in time by what it calls."""

    def __init__(
        self,
        checks: Sequence[tuple[FindingName, Check]],
        tray: Callable[[bool | None], Finding],
        providers: Callable[[], Sequence[Step]],
    ) -> None:
        """`providers` plans the checks of the network and of each provider that has an account."""
        self._checks = checks
        self._tray = tray
        self._providers = providers

    def steps(self, tray: bool | None = None) -> Sequence[Step]:
        """The checks, in the order to run them. `tray`: whether this desktop has one, if the caller can see
        it. Reads the account store. Never raises for one that cannot be read: its own check says so.
        """
        steps = [Step(name, check) for name, check in self._checks]
        steps.append(Step("tray", lambda: self._tray(tray)))
        with suppress(KeyfobError):  # the store's own check reports it
            steps.extend(self._providers())
        return sorted(steps, key=lambda step: ORDER.index(step.name))

    def run(self, tray: bool | None = None) -> list[Finding]:
        """Runs all of `steps`, one after the other."""
        return [step.run() for step in self.steps(tray)]


def _guarded(name: FindingName, check: Check) -> Finding:
    try:
        return check()
    except KeyfobError as error:
        return Finding(name, False, error.message, "fail", error.code, error.facts)
    except Exception as bug:
        # A check that breaks is itself something to report, and must not hide the others.
        text = f"This check failed: {type(bug).__name__}"
        return Finding(name, False, text, "fail", "check_failed")
