"""`keyfob reconnect`: signs in to an account again."""

from __future__ import annotations

import click

from keyfob.cli.options import account_argument, inputs_of, json_option, pass_session, sign_in_options
from keyfob.cli.session import Session
from keyfob.cli.signing_in import secrets_for, sign_in, tell_result
from keyfob.core.errors import Usage
from keyfob.core.methods import Method
from keyfob.service.accounts.views import SignInRequest


@click.command(short_help="Sign in to an account again.")
@account_argument
@sign_in_options
@json_option
@pass_session
def reconnect(
    session: Session,
    account: str,
    method: Method | None,
    scopes: tuple[str, ...],
    inputs: tuple[str, ...],
    handle: str | None,
    username: str | None,
    client_id: str | None,
    client_secret_stdin: bool,
    api_key_stdin: bool,
    password_stdin: bool,
    no_browser: bool,
    timeout: float,
) -> None:
    """Sign in to ACCOUNT again. The account keeps its id, label and settings.

    You must sign in as the same person. Keyfob refuses another person's sign-in and changes nothing. --method changes
    how the account signs in.

    \b
    Examples:
      keyfob reconnect google/work@example.org
      keyfob reconnect github --method device
    """
    record = session.engine.accounts.resolve(account)
    preset = session.engine.providers.get(record.account.provider)
    if client_secret_stdin and not client_id:
        raise Usage("--client-secret-stdin needs --client-id")
    secret = (
        session.secret_from_stdin("--client-secret-stdin", "Client secret") if client_secret_stdin else None
    )
    api_key, password = secrets_for(
        session,
        preset,
        method or record.account.method,
        key_stdin=api_key_stdin,
        password_stdin=password_stdin,
    )
    view = sign_in(
        session,
        SignInRequest(
            provider=preset.id,
            method=method,
            account=record.account.key,
            scopes=scopes,
            inputs=inputs_of(inputs, handle, username),
            api_key=api_key,
            password=password,
            client_id=client_id,
            client_secret=secret,
            timeout=timeout,
            open_browser=not no_browser,
            switch_method=method is not None,
        ),
    )
    tell_result(session, view, again=True)
