"""`keyfob status`: an account's details."""

from __future__ import annotations

import click

from keyfob.cli import remedies, words
from keyfob.cli.options import complete_accounts, json_option, pass_session
from keyfob.cli.session import Session
from keyfob.cli.views import all_accounts, kept_fresh, one_account
from keyfob.core.account import AccountView
from keyfob.core.preset_change import command_for
from keyfob.core.text import plain


@click.command(short_help="Show an account's details.")
@click.argument("account", required=False, shell_complete=complete_accounts)
@json_option
@pass_session
def status(session: Session, account: str | None) -> None:
    """Show the details of ACCOUNT. Without ACCOUNT, show the only account, or a summary of all accounts.

    \b
    Examples:
      keyfob status github
      keyfob status google/work@example.org --json
    """
    views = [one_account(session, account)] if account else all_accounts(session)
    if len(views) == 1:
        if session.json:
            session.document(views[0].to_json())
        else:
            _full(session, views[0])
        return
    if session.json:
        session.document({"accounts": [view.to_json() for view in views]})
        return
    if not views:
        session.say("There are no accounts yet. To connect one, run: keyfob connect PROVIDER")
        return
    well = [view for view in views if view.status in ("connected", "renewing")]
    session.say(f"{len(views)} accounts, {len(well)} connected")
    for view in views:
        if view not in well:
            session.say(f"{view.id}: {words.status(view.status)}. {_remedy(view)}".rstrip())
        elif view.preset_changes:
            session.say(f"{view.id}: The preset has changed. {_preset_remedy(view)}")


def _remedy(view: AccountView) -> str:
    if view.status in ("needs_sign_in", "disconnected"):
        return f"Run: keyfob reconnect {view.id}"
    return remedies.of_account(view)


def _preset_remedy(view: AccountView) -> str:
    return f"To use what is new, run: {plain(command_for(view.id, view.preset_changes), 400)}"


def _preset(view: AccountView) -> str | None:
    """What the preset has now and the account does not use."""
    if not view.preset_changes:
        return None
    found = ", ".join(f"{each.part} {plain(each.value, 120)}" for each in view.preset_changes)
    return f"changed since the sign-in: {found}. {_preset_remedy(view)}"


def _full(session: Session, view: AccountView) -> None:
    now = session.now()
    error = view.last_error
    session.say(f"{words.who(view)}  {words.status(view.status)}")
    pairs = [
        ("Account", view.id),
        ("Provider", view.provider_title),
        ("Method", words.METHOD_WORDS[view.method]),
        ("Subject", plain(view.subject, 120)),
        ("Email", plain(view.email, 120) if view.email else None),
        ("Plan", plain(view.plan, 60) if view.plan else None),
        ("Key ends in", view.key_tail),
        ("Token", plain(words.life(view, now, kept_fresh=kept_fresh(session)), 120)),
        ("Expires", words.moment(view.expires_at, now) if view.expires_at else None),
        ("Access", "; ".join(plain(each.title, 60) for each in view.access) if view.access else None),
        ("Scopes", " ".join(plain(scope, 80) for scope in view.scopes)),
        ("Not granted", " ".join(plain(scope, 80) for scope in view.narrower_scopes)),
        ("Connected", words.moment(view.connected_at, now) if view.connected_at else None),
        ("Last renewed", words.moment(view.last_renewed_at, now) if view.last_renewed_at else None),
        ("Sign-in ends", words.moment(view.grant_ends_at, now) if view.grant_ends_at else None),
        ("Preset", _preset(view)),
        ("Connection", "unencrypted (http), on your own network" if view.unencrypted else None),
        ("Other tools", None if view.shareable else "may not use this token under the provider's terms"),
        (
            "Last error",
            f"{plain(error.message, 200)} ({error.code}, {words.moment(error.at, now)})" if error else None,
        ),
        ("Details", plain(error.detail, 400) if error and error.detail else None),
        ("What to do", _remedy(view) if error or view.status != "connected" else None),
    ]
    for line in words.facts(pairs):
        session.say(f"  {line}")
