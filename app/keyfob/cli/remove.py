"""`keyfob remove`: disconnects and removes an account, or with `--everything` all that Keyfob has."""

from __future__ import annotations

import click

from keyfob.cli.disconnect import print_ended
from keyfob.cli.options import complete_accounts, json_option, pass_session
from keyfob.cli.remove_everything import remove_everything
from keyfob.cli.session import Session
from keyfob.core.errors import Usage


@click.command(short_help="Disconnect an account and remove it, or remove everything.")
@click.argument("account", shell_complete=complete_accounts, required=False)
@click.option(
    "--local", is_flag=True, help="Remove the account here only. Do not revoke its tokens at the provider."
)
@click.option(
    "--everything", is_flag=True, help="Delete all that Keyfob has on this computer, for uninstalling it."
)
@click.option(
    "--keep-settings", is_flag=True, help="With --everything: keep the settings and your own presets."
)
@click.option("--yes", "-y", is_flag=True, help="With --everything: do not ask.")
@json_option
@pass_session
def remove(
    session: Session, account: str | None, local: bool, everything: bool, keep_settings: bool, yes: bool
) -> None:
    """Disconnect ACCOUNT, then remove it and everything saved for it.

    With --everything, Keyfob says what it found and asks. Then it revokes the tokens at the providers
    (unless you add --local), deletes the accounts and its entries in the keychain, and the settings, your
    own presets, the history and the log. It restores the files of the tools that `keyfob wire` set up, and
    stops the agent and the start at login. If the keychain is locked, it deletes nothing. If it is
    interrupted, run it again. Other homes (KEYFOB_HOME) keep what they have.

    \b
    Examples:
      keyfob remove github/old
      keyfob remove --everything
    """
    if everything:
        if account is not None:
            raise Usage("--everything takes no account")
        remove_everything(session, local=local, keep_settings=keep_settings, yes=yes)
        return
    if keep_settings or yes:
        raise Usage("--keep-settings and --yes belong to --everything")
    if not account:
        raise Usage(
            "No account is named" if account is None else "The account is empty",
            remedy="To list your accounts, run `keyfob accounts`.",
        )
    print_ended(session, "remove", account, local=local)
