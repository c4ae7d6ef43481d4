"""`keyfob wire` and `keyfob unwire`: configure a tool to get its credentials from Keyfob, and undo that.

It shows the change and asks first. A backup stays next to each changed file until the change is undone. No
token is ever written.
"""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from keyfob.cli.keys import span
from keyfob.cli.options import F, complete_accounts, json_option, pass_session
from keyfob.cli.session import Session
from keyfob.cli.wire_gateway import Terms, access_of, undo_tool, wire_through_gateway
from keyfob.cli.wire_shown import ask, print_changes, show
from keyfob.core.errors import Usage
from keyfob.core.gateway_address import ADDRESS, checked_address, own_address
from keyfob.ports import BACKUP_SUFFIX
from keyfob.process.own_process import find_program
from keyfob.tools.edits import Change
from keyfob.tools.registry import SETUPS
from keyfob.tools.setup import Option
from keyfob.tools.tool_setup import Asked, lacks
from keyfob.tools.wiring import State

CHANGED = "changed since"


STATES: dict[State, str] = {"wired": "set up", "changed": CHANGED, "not_wired": ""}
YES = click.option("--yes", "-y", is_flag=True, help="Do not ask.")


def _list_tools() -> str:
    width = max(map(len, SETUPS))
    return "\n".join(f"  {name.ljust(width)}  {setup.summary}" for name, setup in SETUPS.items())


def _tool_options(function: F) -> F:
    """What the tools declare: one option a name, with the tools that take it in its help."""
    takers: dict[Option, list[str]] = {}
    for name, setup in SETUPS.items():
        for option in setup.options:
            takers.setdefault(option, []).append(name)
    for option, names in reversed(takers.items()):
        text = f"{', '.join(names)}: {option.help}"
        flag = f"--{option.name.replace('_', '-')}"
        takes: dict[str, Any] = {"metavar": option.metavar}
        if option.metavar is None:
            takes = {"is_flag": True, "flag_value": "yes", "default": None}
        function = click.option(flag, help=text, **takes)(function)
    return function


@click.command(
    short_help="Configure a tool to get its credentials from Keyfob.",
    help=f"""Configure TOOL to get its credentials from Keyfob.

    Shows what will change and asks first. Keeps a backup of each file next to it (…{BACKUP_SUFFIX})
    until `keyfob unwire` restores it. Without ACCOUNT, git and docker can use every account of a host.

    \b
    Tools:
    {_list_tools().replace(chr(10), chr(10) + "    ")}

    \b
    Examples:
      keyfob wire --list
      keyfob wire git
      keyfob wire npm github
      keyfob wire kubectl work --user me --context staging
      keyfob wire kubectl work --id-token
      keyfob wire mcp github --server github
      keyfob wire git github --through-gateway --method read --path '/acme/**'
    """,
)
@click.argument("tool", type=click.Choice(list(SETUPS)), required=False)
@click.argument("accounts", nargs=-1, metavar="[ACCOUNT]...", shell_complete=complete_accounts)
@_tool_options
@click.option(
    "--through-gateway",
    is_flag=True,
    help="Give the tool a base URL and a key of the gateway instead of a token.",
)
@click.option(
    "--gateway",
    metavar="URL",
    help=f"The gateway's address. Default: this computer's, {ADDRESS}.",
)
@click.option(
    "--method", "methods", multiple=True, metavar="M", help="Through the gateway: allow this method."
)
@click.option(
    "--path", "paths", multiple=True, metavar="P", help="Through the gateway: allow this path: /acme/**."
)
@click.option("--until", callback=span, metavar="SPAN", help="Through the gateway: end it after 3h, 9d, 4w.")
@click.option("--list", "listed", is_flag=True, help="List the tools: installed, and set up by Keyfob.")
@YES
@json_option
@pass_session
def wire(
    session: Session,
    /,
    tool: str | None,
    accounts: tuple[str, ...],
    listed: bool,
    yes: bool,
    through_gateway: bool,
    gateway: str | None,
    methods: tuple[str, ...],
    paths: tuple[str, ...],
    until: timedelta | None,
    **options: str | None,
) -> None:
    """Set up `tool` for these accounts, or for all that tools may use, after the user sees the changes."""
    if listed:
        _print_tools(session)
        return
    if tool is None:
        raise Usage(
            "Which tool?", remedy=f"Choose one of {', '.join(SETUPS)}. `keyfob wire --list` shows more."
        )
    given = {name: value for name, value in options.items() if value is not None}
    terms = Terms(methods, paths, until)
    if through_gateway:
        own = own_address(session.engine.settings.load().gateway_port)
        asked = Asked(Path.cwd(), accounts, given, checked_address(gateway or own))
        wire_through_gateway(session, tool, asked, terms, yes=yes)
        return
    if gateway is not None or terms != Terms():
        raise Usage(
            "--gateway, --method, --path and --until are for access through the gateway",
            remedy="Add --through-gateway.",
        )
    engine = session.engine
    views = [engine.accounts.view(ref) for ref in accounts] if accounts else engine.accounts.views()
    asked = Asked(Path.cwd(), accounts, given)
    planned = engine.tool_setup.plan(tool, asked)
    changes = [change for change in planned.changes if change.needed]
    show(session, changes)
    if changes:
        for warning in planned.warnings:
            session.note(click.style(f"Warning: {warning}", fg="yellow"))
        ask(f"Make {'this change' if len(changes) == 1 else 'these changes'}?", yes)
        engine.tool_setup.make(tool, asked, planned)
    print_changes(
        session,
        tool,
        changes,
        planned.notes,
        "already uses Keyfob" if planned.changes else "",
        lacks(tool, [view for view in views if view.shareable]),
    )


@click.command(short_help="Undo keyfob wire.")
@click.argument("tool", type=click.Choice(list(SETUPS)), required=False)
@click.option("--all", "everything", is_flag=True, help="Undo it for each tool.")
@YES
@json_option
@pass_session
def unwire(session: Session, tool: str | None, everything: bool, yes: bool) -> None:
    """Undo `keyfob wire TOOL` and restore the old file. If the file has changed since, remove only what
    Keyfob added.

    \b
    Examples:
      keyfob unwire git
      keyfob unwire --all
    """
    wiring = session.engine.wiring
    if everything == (tool is not None):
        raise Usage("No tool is named", remedy="Name one, or add --all for each tool that Keyfob has set up.")
    tools = wiring.wired() if tool is None else [tool]
    if tool is not None and wiring.notes(tool) is None:
        print_changes(session, tool, [], [], "is not wired")
        return
    undoing = {each: wiring.undoing(each) for each in tools}
    for changes in undoing.values():
        show(session, [change for change, _ in changes])
    if undoing:
        ask("Undo this?" if len(tools) == 1 else f"Undo this for {', '.join(tools)}?", yes)
    undone: list[Change] = []
    for each, changes in undoing.items():
        undo_tool(session.engine, each, changes)
        undone += [change for change, _ in changes]
    if tool is not None:
        print_changes(session, tool, undone, [], "was already undone")
    elif session.json:
        session.document({"tools": tools, "changed": [str(change.path) for change in undone]})
    else:
        for change in undone:
            session.say(f"Changed {change.path}")
        session.say(f"Undone for {', '.join(tools)}" if tools else "Nothing to do: no tool is wired")


def _print_tools(session: Session) -> None:
    """Each tool: whether its program is installed, and whether Keyfob has set it up."""
    wiring = session.engine.wiring
    states = {name: wiring.state(name) for name in SETUPS}
    access = access_of(session, [name for name, state in states.items() if state != "not_wired"])
    installed = {name: _is_installed(name, setup.programs) for name, setup in SETUPS.items()}
    if session.json:
        rows = [
            {"tool": name, "summary": setup.summary, "installed": installed[name], "state": states[name]}
            | ({"gateway": access[name][0], "access": access[name][1]} if name in access else {})
            for name, setup in SETUPS.items()
        ]
        session.document({"tools": rows})
        return
    width = max(map(len, SETUPS))
    for name, setup in SETUPS.items():
        word = STATES[states[name]] or ("installed" if installed[name] else "")
        way = ""
        if name in access:
            word = "access ended" if access[name][1] == "ended" else word
            way = f" (through {access[name][0]})"
        session.say(f"{name.ljust(width)}  {word.ljust(len(CHANGED))}  {setup.summary}{way}")


def _is_installed(name: str, programs: tuple[str, ...] | None) -> bool | None:
    """None if no program can be looked for."""
    if programs == ():
        return None
    return any(find_program(each) is not None for each in programs or (name,))
