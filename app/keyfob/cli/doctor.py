"""`keyfob doctor`: everything Keyfob stands on, one line each."""

from __future__ import annotations

import click

from keyfob.cli.options import json_option, pass_session
from keyfob.cli.session import Session

MARKS = {"ok": ("ok  ", "green"), "note": ("note", "yellow"), "fail": ("fail", "red")}


@click.command(short_help="Check everything Keyfob stands on.")
@json_option
@pass_session
def doctor(session: Session) -> None:
    """Check the keychain (write, read, delete), the callback port and who holds it, the browser, the clock, proxy
    and certificates, and what else Keyfob stands on. Each failing line says what to do.

    The exit is 0 once all was looked at; in JSON `ok` tells whether all is well.

    \b
    Example:
      keyfob doctor --json | jq '.findings[] | select(.ok | not)'
    """
    engine = session.engine
    findings = session.finish(lambda: engine.doctor.run())
    failing = [finding for finding in findings if finding.level == "fail" or not finding.ok]
    if session.json:
        session.document({"ok": not failing, "findings": [finding.to_json() for finding in findings]})
        return
    width = max((len(finding.name) for finding in findings), default=0)
    for finding in findings:
        word, colour = MARKS["fail" if finding in failing else finding.level]
        session.say(
            f"{click.style(word, fg=colour)}  {finding.name.replace('_', ' ').ljust(width)}  {finding.text}"
        )
        if finding.remedy and (finding in failing or finding.level != "ok"):
            session.say(f"      {' ' * width}  → {finding.remedy}")
    session.say("")
    session.say("All is well." if not failing else f"{len(failing)} of {len(findings)} need attention.")
