"""The entry point of the command line: finds the command, loads only its file, and turns failures into exits.

Called by `__main__`, which opens the window for the commands that ask for it. A command's file is imported
when the command is used, so that `keyfob token` does not pay for `keyfob demo`.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Sequence
from datetime import datetime
from importlib import import_module
from typing import Any, NamedTuple

import click

from keyfob import __version__
from keyfob.cli import failure
from keyfob.cli.helper_program import settle_streams
from keyfob.cli.session import OpenEngine, Session, open_engine, utc_now
from keyfob.client.connection import announce_waiting
from keyfob.core.errors import KeyfobError, Transient

log = logging.getLogger(__name__)


class Verb(NamedTuple):
    """Where a verb is, and its line in the overview (the same as its file's, so that none is loaded
    for it).
    """

    place: str  # module:attribute
    line: str


GROUPS: dict[str, dict[str, Verb]] = {
    "Accounts": {
        "connect": Verb("connect:connect", "Sign in to a provider and keep the account connected."),
        "accounts": Verb("accounts:accounts", "List the accounts."),
        "status": Verb("status:status", "Show an account's details."),
        "renew": Verb("renew:renew", "Renew an account's token now."),
        "test": Verb("test:test", "Ask the provider who you are, with the account's token."),
        "rename": Verb("rename:rename", "Change an account's label."),
        "reconnect": Verb("reconnect:reconnect", "Sign in to an account again."),
        "disconnect": Verb(
            "disconnect:disconnect", "Delete an account's tokens and revoke them at the provider."
        ),
        "remove": Verb("remove:remove", "Disconnect an account and remove it, or remove everything."),
    },
    "Tokens": {
        "token": Verb("token:token", "Print a valid access token or key."),
        "exec": Verb("exec:execute", "Run a command with tokens in its environment only."),
        "request": Verb("request:request", "Make an API call with an account's token."),
        "credential": Verb(
            "credential:credential", "Print credentials in the format of kubectl, AWS tools or MCP clients."
        ),
    },
    "Tools": {
        "wire": Verb("wire:wire", "Configure a tool to get its credentials from Keyfob."),
        "unwire": Verb("wire:unwire", "Undo keyfob wire."),
        "tools": Verb("tools:tools", "List, check and update the tools that use your accounts."),
        "agent": Verb("agent:agent", "Keep accounts signed in and answer tools, without a window."),
        "nexus": Verb("nexus:nexus", "Use your account of Nexus Mods: mods, updates, downloads."),
        "permissions": Verb("permissions:permissions", "List, give and revoke what programs may use."),
    },
    "Providers": {
        "providers": Verb("providers:providers", "List, check and add providers."),
        "jwk": Verb("jwk:jwk", "Manage the private keys of confidential clients."),
        "client-metadata": Verb(
            "client_metadata:client_metadata", "Print the client metadata document to host."
        ),
    },
    "Gateway": {
        "serve": Verb("serve:serve", "Let programs call your accounts' APIs without their tokens."),
        "gateway": Verb(
            "gateway:gateway", "Set up what stands beside keyfob serve: nginx, Caddy, Envoy, a master key."
        ),
        "web-keys": Verb("web_keys:web_keys", "Manage the client keys of web sign-in."),
        "grants": Verb("grants:grants", "Manage what callers of the gateway may do."),
        "models": Verb("models:models", "Say which account a model's name stands for at the gateway."),
        "keys": Verb("keys:keys", "Manage the keys of the gateway's callers."),
        "users": Verb("users:users", "Manage the gateway's users and their passwords."),
        "audit": Verb("audit:audit", "Show what happened to the gateway's keys and users."),
    },
    "Keyfob": {
        "window": Verb("window:window", "Open the app's window, or a part of it."),
        "demo": Verb("demo:demo", "Try Keyfob with a provider on this computer."),
        "doctor": Verb("doctor:doctor", "Check everything that Keyfob needs."),
        "events": Verb("events:events", "Show what happened to your accounts."),
        "update": Verb("update:update", "Look for a newer version of Keyfob, and install it."),
        "settings": Verb("settings:settings", "Show and change settings."),
        "import": Verb("import_accounts:import_accounts", "Move keys and accounts from other tools' files."),
        "export": Verb("export:export", "Print your accounts as JSON, without secrets."),
        "desktop-entry": Verb(
            "desktop_entry:desktop_entry", "Add Keyfob to the application menu, or remove it."
        ),
        "completion": Verb("completion:completion", "Print the completion script for your shell."),
    },
}
VERBS: dict[str, Verb] = {name: verb for group in GROUPS.values() for name, verb in group.items()}

# Not for users: other parts of Keyfob call them.
INNER: dict[str, Verb] = {"sign": Verb("sign:sign", "")}


class Keyfob(click.Group):
    """Loads a verb when it is called; lists all without loading any."""

    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        verb = VERBS.get(cmd_name) or INNER.get(cmd_name)
        if verb is None:
            return None
        module, _, attribute = verb.place.partition(":")
        command = getattr(import_module(f"keyfob.cli.{module}"), attribute)
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        widest = max(len(name) for name in VERBS)
        for title, group in GROUPS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(widest), verb.line) for name, verb in group.items()])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Names the command that was meant, if the one that was typed is close to it."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib  # seldom: a command is mistyped

            near = difflib.get_close_matches(args[0], VERBS, n=1)
            if near:
                words = f"{error.message.rstrip('.')}. Did you mean `keyfob {near[0]}`?"
                raise click.UsageError(words, error.ctx) from None
            raise


def _verbose(context: click.Context, _: click.Parameter, value: bool) -> None:
    session = context.find_object(Session)
    if value and session is not None:
        session.be_verbose()


@click.group(
    cls=Keyfob,
    name="keyfob",
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Without a command, Keyfob opens the desktop app. `keyfob COMMAND --help` describes a command "
    "and gives examples.",
)
@click.option(
    "--verbose",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_verbose,
    help="Also write what Keyfob does to stderr, without secrets.",
)
@click.version_option(__version__, prog_name="keyfob", message="%(prog)s %(version)s")
@click.pass_context
def keyfob(context: click.Context) -> int | None:
    """Connect your online accounts once, and give every tool a fresh token.

    \b
      keyfob connect github
      curl -H "$(keyfob token github --header)" https://api.github.com/user
    """
    if context.invoked_subcommand is None:
        session = context.find_object(Session)
        assert session is not None
        return session.window([])
    return None


def main(
    argv: Sequence[str],
    window: Callable[[Sequence[str]], int],
    now: Callable[[], datetime] = utc_now,
    open_engine: OpenEngine = open_engine,
    known_accounts: Callable[[], Sequence[str]] | None = None,
) -> int:
    """Run one command. `window` opens the desktop app, for a command that asks for it. `known_accounts`: the
    accounts' ids, for completion; from the engine if it is None. Returns the exit code; never raises. stdout
    is empty unless it is 0.
    """
    session = Session(window, now, open_engine, known_accounts)
    try:
        code = _run(argv, session)
    finally:
        session.be_quiet()
    settle_streams()
    return code


def _run(argv: Sequence[str], session: Session) -> int:
    announce_waiting()
    # An option error is met before any option is parsed: the form of the failure must be known by then.
    wants_json = "--json" in list(argv)[: list(argv).index("--") if "--" in argv else None]
    extra: dict[str, Any] = {}
    try:
        try:
            try:
                result = keyfob.main(args=list(argv), prog_name="keyfob", standalone_mode=False, obj=session)
            except click.exceptions.NoArgsIsHelpError as error:
                click.echo(error.format_message())
                result = 0
            sys.stdout.flush()
            return result if isinstance(result, int) else 0
        finally:
            session.close()
    except KeyfobError as error:
        from keyfob.cli.views import elsewhere

        known = elsewhere(error)
        verb = next((word for word in argv if not word.startswith("-")), "")
        if error.code == "usage" and error.remedy is None and verb in VERBS:
            known.remedy = f"See `keyfob {verb} --help`."
    except failure.FaultyError as error:
        known, extra = error.error, error.extra
        if not (session.json or wants_json):
            for line in error.lines:
                session.note(line)
    except click.ClickException as error:
        known = failure.of_click(error)
    except (KeyboardInterrupt, click.Abort):
        known = Transient("Interrupted", code="interrupted")
    except (SystemExit, BrokenPipeError):
        # The reader of stdout has gone (click makes a SystemExit of it), so nothing can be reported.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except Exception as error:
        unwritten = failure.of_output(error) if isinstance(error, OSError) else None
        if unwritten is None:
            log.exception("a command failed")
        known = unwritten or failure.of_bug(error)
    return failure.report(known, as_json=session.json or wants_json, extra=extra)


__all__ = ["VERBS", "keyfob", "main"]
