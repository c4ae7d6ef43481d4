"""What `keyfob agent --status`, `--stop`, `--lock`, `--unlock`, `--install` and `--uninstall` do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import timedelta
from typing import Any

from keyfob.cli.session import Session
from keyfob.cli.words import moment
from keyfob.client import running_agent
from keyfob.client.connection import AgentGoneError
from keyfob.core.errors import NotFound, Transient, Usage
from keyfob.core.text import plain
from keyfob.core.times import from_rfc3339
from keyfob.core.words import KEEPER_ROLE
from keyfob.engine import ask_passphrase
from keyfob.process.home import socket_path

STOPPED_WITHIN = timedelta(seconds=60)  # a renewal that has begun is finished first
PLACES = {"keychain": "the keychain", "sealed": "an encrypted file", "pass": "the password store"}


def _status(session: Session) -> None:
    found = running_agent.standing()
    installed = session.engine.agent_service.installed()
    if session.json:
        session.document({"running": found is not None, "installed": installed, **(found or {})})
        return
    if found is None:
        session.say("No agent is running. Commands work without it.")
        if installed:
            session.say("It starts when a tool asks for it.")
    elif not found:
        session.say("An agent is running, on another machine or as an older version.")
    else:
        _say_standing(session, found)


def _say_standing(session: Session, found: Mapping[str, Any]) -> None:
    what = "The app is running and answers the tools" if found["window"] else "The agent is running"
    since = moment(from_rfc3339(found["started_at"]), session.now())
    session.say(f"{what} (version {plain(found['version'], 40)}, process {found['pid']}), since {since}.")
    place = PLACES.get(str(found["vault"]), "another place")
    if found["locked"]:
        session.say("It is locked and gives out no tokens. To unlock it, run: keyfob agent --unlock")
    elif not found["vault_open"]:
        session.say(f"Tokens are in {place}, and it does not have the passphrase. Run: keyfob agent --unlock")
    else:
        session.say(f"Tokens are in {place}.")


def _stop(session: Session) -> None:
    """Says so, and does nothing, if no agent runs."""
    found = stop_running(session)
    if session.json:
        session.document({"running": False, "stopped": found is not None})
    elif found is None:
        session.say("No agent is running.")
    else:
        session.say("The agent has stopped.")
        if found.get("started_by_system"):
            session.say("The system starts it again when a tool asks. To prevent that, run: ")
            session.say("  keyfob agent --uninstall")


def stop_running(session: Session) -> dict[str, Any] | None:
    """Stop the agent and wait until it has ended; what it said, None if there was none. Raises Usage if it is
    the app, Transient `agent_silent`.
    """
    if running_agent.standing() is None:
        return None
    try:
        found = running_agent.tell_agent("stop")
    except AgentGoneError:
        return None
    with suppress(Transient), session.engine.locks.hold(KEEPER_ROLE, timeout=STOPPED_WITHIN):
        return found
    raise Transient("The agent has not stopped yet, because it is finishing its work", code="busy")


def _lock(session: Session) -> None:
    _print_change(session, _tell("lock"), "The agent is locked. It gives out no tokens.")


def _unlock(session: Session) -> None:
    found = running_agent.standing()
    if found is None:
        raise _not_running()
    passphrase = None
    if found.get("vault") == "sealed" and not found.get("vault_open"):
        if found.get("home") != session.engine.home.id:
            raise Usage(
                "The agent that answers is of another home",
                remedy="Set KEYFOB_HOME and KEYFOB_SOCK as they are for the agent.",
            )
        passphrase = ask_passphrase().reveal()
    _print_change(session, _tell("unlock", passphrase), "The agent is unlocked.")


def _tell(what: str, passphrase: str | None = None) -> dict[str, Any]:
    running_agent.standing()  # an agent that is silent is named
    try:
        return running_agent.tell_agent(what, passphrase)
    except AgentGoneError:
        raise _not_running() from None


def _not_running() -> NotFound:
    return NotFound("No agent is running", code="agent_not_running")


def _print_change(session: Session, found: Mapping[str, Any], text: str) -> None:
    if session.json:
        session.document({"running": True, **found})
    else:
        session.say(text)


def _install(session: Session) -> None:
    """An agent that was started by hand would keep the one of the system from its work: it ends first."""
    service = session.engine.agent_service
    paths = [str(path) for path in service.files()]
    found = running_agent.standing()
    if found and found.get("window"):  # before anything is changed
        raise Usage("The app is running and answers the tools", remedy="Quit Keyfob in its window.")
    if service.installed():
        service.uninstall()
    stopped = stop_running(session)
    service.install(socket_path(session.engine.home))
    if session.json:
        session.document({"installed": True, "files": paths})
        return
    if stopped is not None:
        session.say("The agent that was running has stopped.")
    session.say("The agent starts when a tool asks for it. These files say so:")
    for path in paths:
        session.say(f"  {path}")


def _uninstall(session: Session) -> None:
    service = session.engine.agent_service
    was = service.installed()
    paths = [str(path) for path in service.files()]
    if was:
        service.uninstall()
    if session.json:
        session.document({"installed": False, "files": paths if was else []})
    elif was:
        session.say("The system does not start the agent any more.")
    else:
        session.say("The agent is not installed.")


ACTIONS: Mapping[str, Callable[[Session], None]] = {
    "status": _status,
    "stop": _stop,
    "lock": _lock,
    "unlock": _unlock,
    "install": _install,
    "uninstall": _uninstall,
}
