"""The text of Copy report: what was checked and how it ended. It holds no token, no key, no name that a user
chose, no path and no address, so it uses codes and what a finding declares public, never a finding's text.
"""

from __future__ import annotations

import platform
from collections.abc import Sequence

from PySide6.QtCore import qVersion

from keyfob import __version__
from keyfob.desktop.check.models import STATE_WORDS, Result, state_of, took
from keyfob.desktop.check.words import TITLES
from keyfob.service.doctor import Step


def system() -> str:
    """The versions of what Keyfob runs on."""
    return (
        f"Keyfob {__version__}, Python {platform.python_version()}, Qt {qVersion()}, "
        f"{platform.system()} {platform.release()} {platform.machine()}"
    )


def report(steps: Sequence[Step], results: Sequence[Result], seconds: float) -> str:
    """One line for each check."""
    lines = [system(), f"{len(results)} checks in {seconds:.1f} s"]
    for step, result in zip(steps, results, strict=True):
        finding = result.finding
        title = TITLES[step.name]
        if step.name == "provider":
            title = f"Provider {step.provider}" if step.provider else "Provider that the user added"
        state = STATE_WORDS[state_of(finding)]
        more = [f"code {finding.code}" if finding.code else "", finding.public, took(result.seconds)]
        lines.append(f"{title}: {', '.join([state, *(each for each in more if each)])}")
    return "\n".join(lines) + "\n"
