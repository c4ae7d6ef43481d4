"""What to do about an error or a failed check, as a command prints it.

The words are in `agent.remedies`. Here is the one case that depends on
the terminal: a keychain whose prompt needs a screen.
"""

from __future__ import annotations

from keyfob.agent.remedies import REMEDIES
from keyfob.core.errors import KeyfobError
from keyfob.core.finding import Finding

NO_SCREEN = (
    "Unlock it in your desktop session and try again. If there is no desktop, use an encrypted file instead: "
    "`keyfob settings set vault sealed`."
)


def remedy(error: KeyfobError) -> str:
    """What to do about the error."""
    return _here(error.code, error.remedy)


def sentence(error: KeyfobError) -> str:
    """What happened, then what to do."""
    return f"{error.told().rstrip('.')}. {remedy(error)}"


def of_finding(finding: Finding) -> str | None:
    """What to do about a line of `keyfob doctor`; None if there is nothing to do."""
    return finding.remedy if finding.code is None else _here(finding.code, finding.remedy)


def _here(code: str, own: str | None) -> str:
    from keyfob.process.terminal import needs_screen

    return NO_SCREEN if needs_screen(code) else own or REMEDIES.get(code, "")
