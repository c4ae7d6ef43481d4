"""`keyfob providers report`: a report without secrets about the sign-ins at one provider."""

from __future__ import annotations

import platform
from typing import Any

import click

from keyfob.cli.options import json_option, pass_session, provider_argument
from keyfob.cli.session import Session


@click.command(short_help="Print a report to send about a provider.")
@provider_argument
@json_option
@pass_session
def report(session: Session, provider: str) -> None:
    """Print a report about PROVIDER that you can send when a sign-in did or did not work. It has versions,
    the preset, how each request of the last sign-in was answered, and what happened to the accounts.

    The report has no token, name, e-mail address, subject, label or input. From the provider's own words,
    everything that looks like one is removed. Read the report before you send it.

    \b
    Example:
      keyfob providers report twitch > report.txt
    """
    found = {"system": _system(), **session.engine.reports.report(provider)}
    if session.json:
        session.document(found)
        return
    for line in _lines(found):
        session.say(line)


def _system() -> str:
    """The versions of what Keyfob runs on."""
    return (
        f"Python {platform.python_version()}, {platform.system()} {platform.release()} {platform.machine()}"
    )


def _lines(found: dict[str, Any]) -> list[str]:
    preset, last = found["preset"], found["last_sign_in"]
    source = "user's own" if preset["origin"] == "user" else "from Keyfob"
    lines = [
        f"Keyfob {found['keyfob']}, {found['system']}",
        f"Preset {preset['id']} ({source}), facts of {preset['facts'] or 'an unknown day'}, "
        f"tested: {preset['tested']}, sha256 {preset['sha256']}",
        f"Methods: {', '.join(preset['methods'])}",
        "",
    ]
    lines += _sign_in(last) if last else ["No sign-in is recorded."]
    for number, account in enumerate(found["accounts"], 1):
        lines += ["", *_account(number, account)]
    return lines


def _sign_in(last: dict[str, Any]) -> list[str]:
    end = "worked" if last["ok"] else f"failed: {last['code']}"
    lines = [f"Last sign-in: {last['at']}, {last['method']}, {end}", f"  Stages: {', '.join(last['stages'])}"]
    for step in last["requests"]:
        answer = f"answered {step['status']}" if "status" in step else f"not answered: {step['failed']}"
        times = f", {step['times']} times" if "times" in step else ""
        lines.append(f"  Request ({step['for']}): {answer}{times}")
        if step.get("fields"):
            lines.append(f"    Fields: {', '.join(step['fields'])}")
    if last.get("words"):
        lines.append(f"  Provider's words: {last['words']}")
    return lines


def _account(number: int, account: dict[str, Any]) -> list[str]:
    lines = [
        f"Account {number}: {account['method']}, {account['status']}, "
        f"{'renewable' if account['renewable'] else 'not renewable'}",
        f"  Access token lives: {_seconds(account['access_token_lives'])}. "
        f"Sign-in lives: {_seconds(account['sign_in_lives'])}",
    ]
    if account["last_error"]:
        error = account["last_error"]
        lines.append(f"  Last error: {error['code']}{': ' + error['words'] if error['words'] else ''}")
    for event in account["events"]:
        lines.append(f"  {event['at']}  {event['kind']}{' (' + event['code'] + ')' if event['code'] else ''}")
    return lines


def _seconds(value: int | None) -> str:
    return "not known" if value is None else f"{value} s"
