"""Gets a token for a command that passes it on: from a running agent, or in this process under the same
locks.

Called by `exec` and `credential`. The agent comes first because it may be able to open what this process
cannot (an encrypted file), and because it answers at once. The caller passes the secret to one tool and
nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from keyfob.cli.session import Session
from keyfob.client import running_agent
from keyfob.client.connection import AgentGoneError
from keyfob.core.secret import Secret
from keyfob.core.times import from_rfc3339


@dataclass(frozen=True, slots=True)
class Lease:
    """A valid token, and until when."""

    account: str  # provider/label
    token: Secret
    token_type: str
    expires_at: datetime | None

    @property
    def provider(self) -> str:
        """The provider's part of the account's id."""
        return self.account.partition("/")[0]


def lease(
    session: Session, ref: str, *, rejected: Secret | None = None, min_life: float | None = None
) -> Lease:
    """A valid token of `ref`, renewed first where needed, and not the `rejected` one. `min_life` is in
    seconds; see `core.min_life`. Blocks. Raises a KeyfobError, `sharing_not_allowed` among them.
    """
    refused = None if rejected is None else rejected.reveal()
    try:
        answer = session.from_agent(lambda: running_agent.lease(ref, rejected=refused, min_life=min_life))
    except AgentGoneError:
        life = None if min_life is None else timedelta(seconds=min_life)
        found = session.finish(lambda: session.engine.accounts.token(ref, min_life=life, rejected=rejected))
        return Lease(found.account, found.token, found.token_type, found.expires_at)
    return Lease(
        answer["account"],
        Secret(answer["token"]),
        answer["token_type"],
        from_rfc3339(answer["expires_at"]),
    )


def id_token(session: Session, ref: str) -> dict[str, Any]:
    """An ID token of `ref` that has not expired, as the agent answers. Blocks. Raises a KeyfobError."""
    try:
        return session.from_agent(lambda: running_agent.id_token(ref))
    except AgentGoneError:
        return session.finish(lambda: session.engine.id_tokens.token(ref)).to_json()


def header(session: Session, ref: str) -> tuple[str, Secret]:
    """The name and value of the header that carries the token of `ref`,
    as its provider wants it. As `lease`.
    """
    try:
        name, value = session.from_agent(lambda: running_agent.header(ref))
        return name, Secret(value)
    except AgentGoneError:
        from keyfob.service.accounts.tool_tokens import header_of

        return header_of(session.finish(lambda: session.engine.accounts.token(ref, min_life=None)))


def hosts_of(session: Session, ref: str) -> tuple[str, ...]:
    """The hosts that may get a token of `ref`, with their ports if they are not the scheme's."""
    try:
        return tuple(session.from_agent(lambda: running_agent.account(ref))["hosts"])
    except AgentGoneError:
        return session.engine.accounts.view(ref).hosts


def warn_of_bound(session: Session, found: Lease) -> None:
    """Says that other programs cannot use a token of RFC 9449."""
    if found.token_type.casefold() == "dpop":
        session.note(
            f"The token of {found.account} is bound to a key that stays in Keyfob, so other programs "
            "cannot use it. Use `keyfob request` instead."
        )
