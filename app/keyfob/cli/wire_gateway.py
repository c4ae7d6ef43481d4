"""`keyfob wire --through-gateway`: a tool gets a base URL and a key of the gateway instead of a token.

The key, its grants and the tool's files are made together: if one of them fails, none of them stays.
"""

from __future__ import annotations

import http.client
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import click

from keyfob.cli.consenting import ask_consent
from keyfob.cli.gateway_database import VARIABLE, database
from keyfob.cli.session import Session
from keyfob.cli.wire_shown import ask, print_changes, show
from keyfob.core.errors import SettingWrong
from keyfob.core.hosts import is_loopback
from keyfob.core.secret import Secret
from keyfob.engine import Engine
from keyfob.tools.edits import Change
from keyfob.tools.registry import SETUPS
from keyfob.tools.setup import SetupPlan
from keyfob.tools.tool_keys import ToolKey
from keyfob.tools.tool_setup import Asked, ToolSetup, lacks

if TYPE_CHECKING:
    from keyfob.gateway.tool_access import Wanted

ANSWERS_WITHIN = 2.0  # seconds


@dataclass(frozen=True, slots=True)
class Terms:
    """What the tool may do. `paths` are those of its own base URL."""

    methods: tuple[str, ...] = ()
    paths: tuple[str, ...] = ()
    until: timedelta | None = None


def wire_through_gateway(session: Session, tool: str, asked: Asked, terms: Terms, *, yes: bool) -> None:
    """Set up `tool` for these accounts. `asked.gateway` is the address. Raises SettingWrong, NotFound, Usage
    and SignInEnded.
    """
    engine = session.engine
    if not is_loopback(urlsplit(asked.gateway or "").hostname) and VARIABLE not in os.environ:
        raise SettingWrong(
            f"The keys of {asked.gateway} are not on this computer",
            remedy="Set KEYFOB_DATABASE_URL to that gateway's database, or make a key with `keyfob grants "
            "create --server` and enter it in the tool's settings.",
        )
    before = engine.tool_setup.asked(tool)
    asked = replace(asked, key_id=before.key_id)
    planned = engine.tool_setup.plan(tool, asked)
    changes = [change for change in planned.changes if change.needed]
    show(session, changes)
    names = ", ".join(dict.fromkeys(reach.account for reach in planned.reaches))
    if changes or before.gateway is None:
        ask(f"Give {tool} access to {names} through the gateway?", yes)
        ask_consent(session, dict.fromkeys(reach.account for reach in planned.reaches))
    found = _make(session, tool, asked, terms, planned)
    _print(session, tool, found, changes)
    if not is_running(asked.gateway or ""):
        session.note(
            click.style(
                f"The gateway does not run at {asked.gateway}. To start it, run: keyfob serve", fg="yellow"
            )
        )


@dataclass(frozen=True, slots=True)
class _Made:
    plan: SetupPlan
    gateway: str
    grants: tuple[str, ...]
    is_new: bool


def _make(session: Session, tool: str, asked: Asked, terms: Terms, planned: SetupPlan) -> _Made:
    engine = session.engine
    setup, key_before = engine.tool_setup, engine.tool_setup.keys.load(tool)
    was_wired = engine.wiring.notes(tool) is not None
    try:
        with database() as transaction:
            from keyfob.gateway.tool_access import supply

            wanted = _wanted(session, planned, terms)
            key_id = asked.key_id if key_before is not None else None
            through = SETUPS[tool].gateway
            adds = through is not None and through.adds
            access = supply(transaction, tool, key_id, wanted, adds=adds)
            _keep_key(setup, tool, asked, access.key)
            asked = replace(asked, key_id=access.key_id)
            planned = setup.plan(tool, asked)
            setup.make(tool, asked, planned)
    except BaseException:
        # The grants are gone with the transaction.
        setup.keys.save(tool, key_before)
        if not was_wired and engine.wiring.notes(tool) is not None:
            engine.wiring.undo(tool, engine.wiring.undoing(tool))
        raise
    ids = tuple(grant.grant_id for grant in access.grants)
    return _Made(planned, asked.gateway or "", ids, access.changed)


def _keep_key(setup: ToolSetup, tool: str, asked: Asked, made: str | None) -> None:
    """A new key, or the one that the tool has, for this address."""
    known = setup.keys.load(tool)
    key = Secret(made) if made is not None else known.key if known is not None else None
    if key is not None:
        setup.keys.save(tool, ToolKey(asked.gateway or "", key))


def _wanted(session: Session, planned: SetupPlan, terms: Terms) -> list[Wanted]:
    from keyfob.gateway.grants import checked_methods, checked_paths
    from keyfob.gateway.tool_access import Wanted

    ends = session.now() + terms.until if terms.until is not None else None
    methods = checked_methods(terms.methods)
    found = []
    for reach in planned.reaches:
        paths: Sequence[str] = checked_paths(terms.paths)
        if reach.host is not None:
            paths = [f"https://{reach.host}{path}" for path in paths or ("/**",)]
        found.append(Wanted(reach.account, methods, tuple(paths), ends))
    return found


def _print(session: Session, tool: str, made: _Made, changes: list[Change]) -> None:
    plan = made.plan
    more = {"gateway": {"url": made.gateway, "grants": list(made.grants), "variables": plan.variables}}
    is_new = bool(changes) or made.is_new
    otherwise = "" if plan.variables or is_new else "already uses the gateway"
    views = [
        session.engine.accounts.view(each) for each in dict.fromkeys(one.account for one in plan.reaches)
    ]
    # Variables are for a program to read, so nothing else is on stdout then.
    notes = plan.notes if session.json or not plan.variables else []
    print_changes(session, tool, changes, notes, otherwise, lacks(tool, views), more)
    if session.json:
        return
    for name, value in plan.variables.items():
        session.exactly(f"{name}={value}")
    for note in [] if notes else plan.notes:
        session.note(note)
    if is_new:
        session.note(f"To end its access, run: keyfob unwire {tool}")


def undo_tool(engine: Engine, tool: str, changes: list[tuple[Change, bool]]) -> None:
    """Undo `wire`, and end the tool's access through the gateway first: ending it again does nothing. Raises
    SettingWrong, Transient.
    """
    asked = engine.tool_setup.asked(tool)
    if asked.gateway is not None:
        if asked.key_id is not None:
            with database() as transaction:
                from keyfob.gateway.tool_access import withdraw

                withdraw(transaction, asked.key_id)
        engine.tool_setup.keys.save(tool, None)
    engine.wiring.undo(tool, changes)


def access_of(session: Session, tools: Sequence[str]) -> dict[str, tuple[str, str]]:
    """The tools among these that use the gateway: its address, and `active` or `ended` for their access.
    Raises SettingWrong, Transient.
    """
    asked = {tool: session.engine.tool_setup.asked(tool) for tool in tools}
    through = {tool: (each.gateway, each.key_id) for tool, each in asked.items() if each.gateway}
    if not through:
        return {}
    with database() as transaction:
        from keyfob.gateway.tool_access import active_grants

        return {
            tool: (
                gateway,
                "active" if key_id and active_grants(transaction, key_id, session.now()) else "ended",
            )
            for tool, (gateway, key_id) in through.items()
        }


def is_running(address: str) -> bool:
    """Whether a gateway answers there. A key is not sent."""
    parts = urlsplit(address)
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    connection = kind(parts.hostname or "", parts.port, timeout=ANSWERS_WITHIN)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
