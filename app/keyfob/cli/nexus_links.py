"""`keyfob nexus links`: whether the browser's `nxm://` links open with Keyfob."""

from __future__ import annotations

import sys

import click

from keyfob.cli.options import json_option, pass_session
from keyfob.cli.session import Session
from keyfob.core.errors import SettingWrong, SignInEnded
from keyfob.core.text import plain
from keyfob.nexus.link_handler import link_handler
from keyfob.nexus.link_state import LinkHandler, LinkState
from keyfob.process.home import open_home


@click.command(short_help="Open nxm links of Nexus Mods with Keyfob.")
@click.argument(
    "what", metavar="[on|off|status]", type=click.Choice(["on", "off", "status"]), default="status"
)
@click.option("--yes", "-y", is_flag=True, help="Take the links from another program without asking.")
@json_option
@pass_session
def links(session: Session, what: str, yes: bool) -> None:
    """Choose whether the button Mod Manager Download of Nexus Mods opens Keyfob.

    It is off until you turn it on. If another program has these links, Keyfob asks first, and `off` gives
    them back to that program.

    \b
    Examples:
      keyfob nexus links on
      keyfob nexus links status --json
    """
    handler = handler_of()
    if what == "on":
        before = handler.state()
        if not before.on:
            _ask(session, before, yes)
        handler.turn_on()
    elif what == "off":
        handler.turn_off()
    state = handler.state()
    if session.json:
        session.document(state.to_json())
    elif state.on:
        session.say("The links open with Keyfob.")
    elif state.program:
        session.say(f"The links open with {plain(state.program, 80)}.")
    else:
        session.say("No program opens the links.")


def handler_of() -> LinkHandler:
    """This system's registration."""
    return link_handler(open_home().data)


def _ask(session: Session, before: LinkState, yes: bool) -> None:
    """Another program keeps the links unless the user says otherwise."""
    if before.program is None or yes:
        return
    program = plain(before.program, 80)
    if session.json or not sys.stdin.isatty():
        raise SettingWrong(f"The links open with {program}", code="links_taken")
    if not click.confirm(f"The links open with {program}. Open them with Keyfob instead?", err=True):
        raise SignInEnded("Nothing was changed", remedy="Try again when you are ready.")
