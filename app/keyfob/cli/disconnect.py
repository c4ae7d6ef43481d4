"""`keyfob disconnect`: deletes the tokens and revokes them. The account stays."""

from __future__ import annotations

from typing import Any, Literal, assert_never

import click

from keyfob.cli.options import account_argument, json_option, pass_session
from keyfob.cli.server import RemoteServer, server_options
from keyfob.cli.server_accounts import disconnected_at
from keyfob.cli.session import Session
from keyfob.cli.through_agent import through_agent
from keyfob.client import running_agent
from keyfob.core.account import AccountView
from keyfob.core.errors import Fault, Usage
from keyfob.service.accounts.views import Disconnection

EndedBy = Literal["disconnect", "remove"]


def how_it_ended(ended: Disconnection, title: str) -> str:
    """The last sentences of `disconnect` and `remove`; `title` is the provider's."""
    place = f"open {ended.page}" if ended.page else f"use your account settings at {title}"
    by_hand = f"To end access there, {place}."
    older = f"{ended.left} of {ended.sign_ins} sign-ins of this account" if ended.sign_ins > 1 else "it"
    match ended.revoked:
        case "yes" if ended.sign_ins > 1:
            return f"The provider confirmed that all {ended.sign_ins} sign-ins of this account are revoked."
        case "yes":
            return "The provider confirmed that it is revoked."
        case "pending" if ended.reason is None:
            return "The provider has not confirmed the revocation yet. Keyfob keeps trying."
        case "pending":
            return f"The provider did not revoke {older}. {by_hand} Keyfob keeps trying to revoke the rest."
        case "unsupported":
            pass
        case _:
            assert_never(ended.revoked)
    match ended.reason:
        case "local":
            return f"Keyfob did not ask the provider to revoke anything, because you used --local. {by_hand}"
        case "nothing_left":
            return "There was no token to revoke."
        case "refused":
            return f"The provider refused to revoke {older}. {by_hand}"
        case "unconfirmed":
            return f"The provider did not say whether {older} is revoked. {by_hand}"
        case "not_offered" | None:
            return f"The provider cannot revoke {older}. {by_hand}"
    assert_never(ended.reason)


def print_ended(session: Session, what: EndedBy, account: str, *, local: bool) -> None:
    """Disconnect or remove the account, here or at the agent that has the encrypted file, and say how it
    ended.
    """
    accounts = session.engine.accounts
    view = accounts.view(account)
    answer = through_agent(session, lambda: running_agent.end_account(what, view.id, local=local))
    if answer is None:
        end = accounts.remove if what == "remove" else accounts.disconnect
        ended = session.finish(lambda: end(account, local=local))
    else:
        ended = _ended_of(answer)
    _print(session, "Removed" if what == "remove" else "Disconnected", view, ended)


def _print(session: Session, done: str, view: AccountView, ended: Disconnection) -> None:
    if session.json:
        session.document({"id": view.id, **ended.to_json()})
        return
    session.say(f"{done} {view.id}. {how_it_ended(ended, view.provider_title)}")


def _ended_of(answer: dict[str, Any]) -> Disconnection:
    """Raises Fault for an agent of a newer version."""
    try:
        return Disconnection.from_json(answer)
    except ValueError:
        raise Fault("The agent is newer than this keyfob", code="agent_too_new") from None


@click.command(short_help="Delete an account's tokens and revoke them at the provider.")
@account_argument
@click.option(
    "--local", is_flag=True, help="Delete the tokens here only. Do not revoke them at the provider."
)
@json_option
@pass_session
@server_options
def disconnect(session: Session, server: RemoteServer | None, account: str, local: bool) -> None:
    """Delete the tokens of ACCOUNT here, and revoke them at the provider. The account stays in the list. To
    use it again, run `keyfob reconnect`.

    Keyfob also revokes older sign-ins that `reconnect` replaced. The exit is 0 when the tokens are deleted
    here. The output says whether the provider confirmed the revocation (in JSON, `revoked`: yes, pending or
    unsupported, with the `reason`).

    \b
    Example:
      keyfob disconnect github
    """
    if server is None:
        print_ended(session, "disconnect", account, local=local)
        return
    if local:
        raise Usage("--local and --server cannot be combined")
    view, ended = disconnected_at(server, account)
    _print(session, "Disconnected", view, ended)
