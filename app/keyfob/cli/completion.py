"""`keyfob completion`: the script that completes commands, options, accounts and providers."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from keyfob.cli.options import json_option, pass_session
from keyfob.cli.session import Session

VARIABLE = "_KEYFOB_COMPLETE"


@click.command(short_help="Print the completion script for your shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@json_option
@pass_session
def completion(session: Session, shell: str) -> None:
    """Print the completion script for SHELL: bash, zsh or fish.

    \b
    Examples:
      keyfob completion bash > ~/.local/share/bash-completion/completions/keyfob
      keyfob completion zsh > "${fpath[1]}/_keyfob"
      keyfob completion fish > ~/.config/fish/completions/keyfob.fish
    """
    from keyfob.cli.main import keyfob

    found = get_completion_class(shell)
    assert found is not None
    script = found(keyfob, {}, "keyfob", VARIABLE).source()
    if session.json:
        session.document({"shell": shell, "script": script})
        return
    session.exactly(script)
