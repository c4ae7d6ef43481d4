"""Accounts of a server: `connect`, `accounts` and `disconnect` with `--server`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from keyfob.core.account import AccountView
from keyfob.core.errors import Fault, KeyfobError, Transient, Usage
from keyfob.service.accounts.views import Disconnection
from keyfob.service.runner import pause

if TYPE_CHECKING:
    from keyfob.cli.server import RemoteServer
    from keyfob.cli.session import Session
    from keyfob.service.sign_in.prepared import PreparedSignIn, SignInOutcome

PATH = "/v1/admin/accounts"
PAUSES = (1.0, 2.0, 4.0)  # seconds before the next try, if an answer is lost


def kept_at(
    session: Session, server: RemoteServer, label: str | None, tenant: str | None
) -> Callable[[PreparedSignIn, SignInOutcome], AccountView]:
    """Hands a sign-in over to the server. What it raises has the sign-in given back to the provider."""

    def hand_over(ready: PreparedSignIn, outcome: SignInOutcome) -> AccountView:
        ready.attempt.advance(stage="saving")
        ready.attempt.commit()
        body = {"handover": session.engine.hand_over.packed(ready, outcome, label), "tenant_id": tenant}
        try:
            row = _sent(server, body)
        except KeyfobError:
            session.note("The server did not confirm that it has the account. Keyfob revokes the sign-in.")
            raise
        try:
            return AccountView.from_json(row)
        except ValueError:  # a newer server: the account is there
            return AccountView.from_json({**row, "method": ready.method, "status": "connected"})

    return hand_over


def _sent(server: RemoteServer, body: dict[str, Any]) -> dict[str, Any]:
    """Again after a lost answer: the server knows the handover by its id."""
    for seconds in PAUSES:
        try:
            return server.ask("POST", PATH, body)
        except Transient:
            pause(timedelta(seconds=seconds), None)
    return server.ask("POST", PATH, body)


def accounts_at(server: RemoteServer) -> list[AccountView]:
    """The server's accounts. Raises a KeyfobError."""
    try:
        return [AccountView.from_json(row) for row in server.ask("GET", PATH)["accounts"]]
    except ValueError:
        raise Fault("The server is newer than this keyfob", code="agent_too_new") from None


def disconnected_at(server: RemoteServer, account: str) -> tuple[AccountView, Disconnection]:
    """The account as it was, and how it ended. Raises a KeyfobError."""
    provider, slash, label = account.partition("/")
    if not slash or not label:
        raise Usage("Name the account of a server in full, as PROVIDER/LABEL")
    path = f"{PATH}/{quote(provider, safe='')}/{quote(label, safe='')}"
    try:
        view = AccountView.from_json(server.ask("GET", path))
        return view, Disconnection.from_json(server.ask("POST", f"{path}/disconnect"))
    except ValueError:
        raise Fault("The server is newer than this keyfob", code="agent_too_new") from None


def name_of(server: RemoteServer) -> str:
    """For a sentence: its host and port."""
    return urlsplit(server.url).netloc
