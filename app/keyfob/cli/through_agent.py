"""Has the agent do what this process cannot: the encrypted file is open there, and its passphrase is not
here.

With a keychain each command does its own work. So does a command that finds no agent of this home.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from keyfob.client import running_agent
from keyfob.client.connection import AgentGoneError
from keyfob.core.errors import KeyfobError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from keyfob.cli.session import Session
    from keyfob.core.provider import Provider
    from keyfob.core.secret import Secret


def holder(session: Session) -> dict[str, Any] | None:
    """What the agent of this home says of itself, if it has the encrypted file; None otherwise. Blocks."""
    engine = session.engine
    if engine.settings.current().vault != "sealed":
        return None
    try:
        status = running_agent.agent_status()
    except (AgentGoneError, KeyfobError):
        return None  # no agent, an older one, or one of another machine
    own = status.get("home") == engine.home.id and status.get("vault") == "sealed"
    # A locked agent is asked too: it says how to unlock it.
    return status if own and (status.get("vault_open") or status.get("locked")) else None


def keep_client_at_agent(
    session: Session, provider: Provider, inputs: Mapping[str, str], client_id: str, secret: Secret | None
) -> None:
    """Keep the user's app registration: by the agent that has the encrypted file, or in this process. Blocks.
    Raises a KeyfobError.
    """
    text = None if secret is None else secret.reveal()

    def ask() -> dict[str, Any]:
        return running_agent.keep_client(provider.id, dict(inputs), client_id, text)

    if through_agent(session, ask) is None:
        session.engine.clients.keep(provider, inputs, client_id, secret)


def through_agent(session: Session, ask: Callable[[], dict[str, Any]]) -> dict[str, Any] | None:
    """What `ask` gets from the agent that has the encrypted file; None if this process must do it. Raises a
    KeyfobError with the agent's refusal.
    """
    if holder(session) is None:
        return None
    try:
        return ask()
    except AgentGoneError:
        return None
