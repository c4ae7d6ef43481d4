"""What to do about an error or a failed check, as a command prints it.

The words are in `agent.remedies`. Here is the one case that depends on
the terminal: a keychain whose prompt needs a screen.
"""

from __future__ import annotations

from keyfob.agent.remedies import REMEDIES
from keyfob.core.account import AccountView
from keyfob.core.error_codes import ErrorCode
from keyfob.core.errors import KeyfobError
from keyfob.core.facts import filled
from keyfob.core.finding import Finding

NO_SCREEN = (
    "Unlock it in your desktop session and try again. If there is no desktop, use an encrypted file instead: "
    "`keyfob settings set vault sealed`."
)


def remedy(error: KeyfobError) -> str:
    """What to do about the error."""
    return _here(error.code, error.remedy_in(REMEDIES))


def sentence(error: KeyfobError) -> str:
    """What happened, then what to do."""
    return f"{error.full_message().rstrip('.')}. {remedy(error)}"


def of_finding(finding: Finding) -> str | None:
    """What to do about a line of `keyfob doctor`; None if there is nothing to do."""
    if finding.code is None:
        return None
    return _here(finding.code, filled(REMEDIES[finding.code], finding.facts))


def of_account(view: AccountView) -> str:
    """What to do about the account's last error; empty if there was none."""
    return filled(REMEDIES[view.last_error.code], {"account": view.id}) if view.last_error else ""


def _here(code: ErrorCode, usual: str) -> str:
    from keyfob.process.terminal import needs_screen

    return NO_SCREEN if needs_screen(code) else usual
