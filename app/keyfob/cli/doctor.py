"""`keyfob doctor`: checks everything that Keyfob needs, one line each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import click

from keyfob.cli import remedies
from keyfob.cli.gateway_check import gateway_steps
from keyfob.cli.options import json_option, pass_session
from keyfob.cli.session import Session, prompting
from keyfob.core.account import AccountView
from keyfob.core.errors import KeyfobError
from keyfob.core.finding import Finding
from keyfob.core.text import plain
from keyfob.core.words import FindingLevel

MARKS: Mapping[FindingLevel, tuple[str, str]] = {
    "ok": ("ok  ", "green"),
    "note": ("note", "yellow"),
    "warn": ("warn", "yellow"),
    "skip": ("skip", "yellow"),
    "fail": ("fail", "red"),
}


@click.command(short_help="Check everything that Keyfob needs.")
@click.option(
    "--recover",
    is_flag=True,
    help="Restore lost accounts to the list, from the keychain.",
)
@click.option(
    "--report",
    "wants_report",
    is_flag=True,
    help="Print a report for a bug report: versions, settings, checks and the end of the log, without "
    "tokens, names and addresses.",
)
@json_option
@pass_session
def doctor(session: Session, recover: bool, wants_report: bool) -> int:
    """Check the keychain (write, read, delete), the callback port and which program uses it, the browser, the
    clock, certificates, the network, the providers of your accounts, your tools, and everything else that
    Keyfob needs. Each failed check says what to do.
    The exit is 0 if all checks pass, and 1 if one fails. The report goes to stdout either way. In JSON, `ok`
    is true or false.

    \b
    Examples:
      keyfob doctor --json | jq '.findings[] | select(.ok | not)'
      keyfob doctor --report > report.txt
      keyfob doctor --recover
    """
    if recover:
        _recover(session)
        return 0
    if wants_report:
        return _report(session)
    engine = session.engine
    findings = session.finish(
        lambda: [*engine.doctor.run(), *(step.run() for step in gateway_steps(session))]
    )
    failing = [finding for finding in findings if finding.level == "fail" or not finding.ok]
    if session.json:
        found = [finding.to_json(remedies.of_finding(finding)) for finding in findings]
        session.document({"ok": not failing, "findings": found})
        return 1 if failing else 0
    width = max((len(_title(finding)) for finding in findings), default=0)
    for finding in findings:
        word, colour = MARKS["fail" if finding in failing else finding.level]
        session.say(f"{click.style(word, fg=colour)}  {_title(finding).ljust(width)}  {finding.text}")
        remedy = remedies.of_finding(finding)
        if remedy and (finding in failing or finding.level != "ok"):
            session.say(f"      {' ' * width}  → {remedy}")
    session.say("")
    session.say(_summary(findings, len(failing)))
    return 1 if failing else 0


def _report(session: Session) -> int:
    from keyfob.cli.report import last_lines, report
    from keyfob.process.log import FILE

    engine = session.engine
    results = session.finish(
        lambda: [(step, step.run()) for step in (*engine.doctor.steps(), *gateway_steps(session))]
    )
    views: Sequence[AccountView] | KeyfobError
    try:
        views = engine.accounts.views()
    except KeyfobError as error:
        views = error  # its check has failed, and the rest is as useful
    text = report(engine.settings.current(), views, results, last_lines(engine.home.log / FILE))
    if session.json:
        session.document({"report": text})
    else:
        for line in text.splitlines():
            session.say(line)
    return 0 if all(finding.ok and finding.level != "fail" for _, finding in results) else 1


def _summary(findings: Sequence[Finding], failing: int) -> str:
    if failing:
        return f"{failing} of {len(findings)} need attention."
    waiting = sum(finding.level == "warn" for finding in findings)
    return (
        f"All checks passed, with {waiting} warning{'s' if waiting > 1 else ''}."
        if waiting
        else "All checks passed."
    )


def _title(finding: Finding) -> str:
    return plain(finding.subject or finding.name.replace("_", " "), 40)


def _recover(session: Session) -> None:
    """Nothing is thrown away: a damaged file is kept under another name, a damaged row next to the
    new one.
    """
    from keyfob.engine import recover
    from keyfob.process import log
    from keyfob.process.home import open_home

    home = open_home()
    log.set_up(home.log)
    found, aside = session.finish(lambda: recover(home, prompting()))
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
        session.say(f"Restored: {plain(account_id, 160)}")
    if found.lost:
        one = found.lost == 1
        session.say(
            f"{found.lost} account{'' if one else 's'} cannot be listed: the keychain does not describe "
            f"{'it' if one else 'them'}. Connect {'it' if one else 'them'} again."
        )
    for account_id in found.newer:
        session.say(f"Not changed: {plain(account_id, 160)} was written by a newer Keyfob")
    if aside is not None:
        session.say(f"The damaged file was saved as {aside}")
    if not (found.listed or found.lost or found.newer):
        session.say("No account is missing.")
