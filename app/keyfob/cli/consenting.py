"""Asks the person, through the agent, before a program gives access to an account through the gateway."""

from __future__ import annotations

import os
from collections.abc import Iterable

from keyfob.cli.gateway_database import VARIABLE
from keyfob.cli.session import Session
from keyfob.client import running_agent
from keyfob.client.connection import AgentGoneError
from keyfob.core.errors import KeyfobError


def ask_consent(session: Session, accounts: Iterable[str]) -> None:
    """Whoever may not have an account's token may not give access to it either: the same question as for a
    token, and the same answers. Nobody is asked while the setting is off, for a server's database, or without
    an agent of this home. Blocks until the person has answered. Raises SettingWrong `consent_refused`.
    """
    if os.environ.get(VARIABLE) or not session.engine.consents.on:
        return
    try:
        if running_agent.agent_status().get("home") != session.engine.home.id:
            return
    except (AgentGoneError, KeyfobError):
        return  # no agent, an older one, or one of another machine
    for account in accounts:
        try:
            running_agent.consent(account)
        except AgentGoneError:
            return
