"""`keyfob doctor`: everything Keyfob stands on, one line each."""

from __future__ import annotations

from collections.abc import Mapping

import click

from keyfob.cli.options import json_option, pass_session
from keyfob.cli.session import Session
from keyfob.core.remedies import in_terminal
from keyfob.core.text import plain
from keyfob.core.words import FindingLevel

MARKS: Mapping[FindingLevel, tuple[str, str]] = {
    "ok": ("ok  ", "green"),
    "note": ("note", "yellow"),
    "fail": ("fail", "red"),
}


@click.command(short_help="Check everything Keyfob stands on.")
@click.option(
    "--recover",
    is_flag=True,
    help="List accounts again, from the keychain, that this computer's data has lost.",
)
@json_option
@pass_session
def doctor(session: Session, recover: bool) -> int:
    """Check the keychain (write, read, delete), the callback port and who holds it, the browser, the clock, proxy
    and certificates, and what else Keyfob stands on. Each failing line says what to do.

    The exit is 0 when all is well, and 1 when a check fails; the report is on stdout either way. In JSON, `ok` says the
    same.

    \b
    Examples:
      keyfob doctor --json | jq '.findings[] | select(.ok | not)'
      keyfob doctor --recover
    """
    if recover:
        _recover(session)
        return 0
    engine = session.engine
    findings = session.finish(lambda: engine.doctor.run())
    failing = [finding for finding in findings if finding.level == "fail" or not finding.ok]
    if session.json:
        session.document({"ok": not failing, "findings": [finding.to_json() for finding in findings]})
        return 1 if failing else 0
    width = max((len(finding.name) for finding in findings), default=0)
    for finding in findings:
        word, colour = MARKS["fail" if finding in failing else finding.level]
        session.say(
            f"{click.style(word, fg=colour)}  {finding.name.replace('_', ' ').ljust(width)}  {finding.text}"
        )
        if finding.remedy and (finding in failing or finding.level != "ok"):
            session.say(f"      {' ' * width}  → {in_terminal(finding.remedy)}")
    session.say("")
    session.say("All is well." if not failing else f"{len(failing)} of {len(findings)} need attention.")
    return 1 if failing else 0


def _recover(session: Session) -> None:
    """Nothing is thrown away: a damaged file is kept under another name, a damaged row beside the new one."""
    found, aside = session.finish(session.doors.recover)
    if session.json:
        session.document(
            {
                "listed": list(found.listed),
                "lost": found.lost,
                "newer": list(found.newer),
                "kept": str(aside) if aside else None,
            }
        )
        return
    for account_id in found.listed:
        session.say(f"Listed again: {plain(account_id, 160)}")
    if found.lost:
        one = found.lost == 1
        session.say(
            f"{found.lost} account{'' if one else 's'} cannot be listed: the keychain does not describe "
            f"{'it' if one else 'them'}. Connect {'it' if one else 'them'} again."
        )
    for account_id in found.newer:
        session.say(f"Left alone: {plain(account_id, 160)} was written by a newer Keyfob")
    if aside is not None:
        session.say(f"The damaged file is kept as {aside}")
    if not (found.listed or found.lost or found.newer):
        session.say("No account is missing.")
