"""`keyfob providers try`: a whole sign-in of a preset at a provider that Keyfob plays itself."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from keyfob.cli import words
from keyfob.cli.failure import FaultyError
from keyfob.cli.options import inputs_of, json_option, pass_session
from keyfob.cli.preset_file import read_preset
from keyfob.cli.session import Session
from keyfob.core.errors import SettingWrong, Usage
from keyfob.core.methods import METHODS, Method
from keyfob.core.provider import Provider
from keyfob.core.text import plain
from keyfob.core.words import known
from keyfob.providers.catalogue import SUFFIX

if TYPE_CHECKING:
    from keyfob.demo.trial.run import Step, Trial
    from keyfob.demo.trial.shown import ShownRequest

LINE_MOST = 2_000  # characters


@click.command("try", short_help="Run a preset's sign-in without its provider.")
@click.argument("preset", metavar="FILE|ID")
@click.option(
    "--method", type=click.Choice(METHODS), help="How to sign in. Default: the preset's first method."
)
@click.option(
    "--input",
    "inputs",
    multiple=True,
    metavar="NAME=VALUE",
    help="A value that the preset asks for. Default: its example.",
)
@click.option(
    "--access",
    multiple=True,
    metavar="NAME",
    help="Ask for this access. Repeatable. Default: as the preset says.",
)
@json_option
@pass_session
def try_(
    session: Session, preset: str, method: Method | None, inputs: tuple[str, ...], access: tuple[str, ...]
) -> None:
    """Run the whole sign-in of a preset, and print each request that Keyfob would send. Keyfob plays the
    provider itself, on this computer, in the preset's shape.

    Nothing is sent to the real provider, and nothing is saved. Secrets are made up and shown as placeholders.
    Where the preset relies on a discovery document, the addresses in it are made up too. If a step fails, the
    last line names the key of the preset that is at fault, if it is known.

    \b
    Examples:
      keyfob providers try my-server.toml
      keyfob providers try mastodon --input instance=fosstodon.org --json
    """
    from keyfob.demo.trial.run import run

    provider = _provider(session, preset)
    chosen = known(provider.methods, method or provider.methods[0])
    if chosen is None:
        raise SettingWrong(
            f"{plain(provider.title, 60)} does not offer {method}. It offers {', '.join(provider.methods)}",
            code="method_not_offered",
        )
    port = session.engine.settings.load().callback_port
    values = inputs_of(inputs, None, None)
    trial = session.finish(
        lambda: run(provider, chosen, inputs=values, access=access or None, callback_port=port)
    )
    failed = trial.failed
    if failed is not None:
        raise _failure(trial, failed)
    if session.json:
        session.document(_document(trial))
        return
    for line in _lines(trial):
        session.say(line)
    if provider.policy.blocked:
        session.note(f"The provider's terms do not allow this: {plain(provider.policy.blocked, 300)}")


def _provider(session: Session, preset: str) -> Provider:
    path = Path(preset)
    if path.suffix == SUFFIX or len(path.parts) > 1 or path.is_file():
        return read_preset(session, path)
    if not preset:
        raise Usage("Name a preset file or a provider")
    return session.engine.providers.get(preset)


def _failure(trial: Trial, failed: Step) -> FaultyError:
    error = failed.error
    assert error is not None
    lines = _lines(trial)
    if failed.at_fault:
        lines.append(f"The preset's key at fault is probably: {failed.at_fault}")
    return FaultyError(error, lines, {"key": failed.at_fault, "step": failed.name, **_document(trial)})


def _document(trial: Trial) -> dict[str, Any]:
    return {
        "provider": trial.provider.id,
        "method": trial.method,
        "ok": trial.failed is None,
        "steps": [
            {
                "step": step.name,
                "ok": step.error is None,
                "outcome": step.outcome,
                "requests": [request.to_json() for request in step.requests],
            }
            for step in trial.steps
        ],
        "identity": dict(trial.identity),
    }


def _lines(trial: Trial) -> list[str]:
    title = plain(trial.provider.title, 60)
    lines = [f"{title}: {words.METHOD_WORDS[trial.method]}"]
    for step in trial.steps:
        end = "failed" if step.error is not None else step.outcome
        lines += ["", step.name.capitalize() + (f" ({end})" if end else "")]
        if not step.requests:
            lines.append("  Keyfob sends nothing.")
        for number, request in enumerate(step.requests, 1):
            lines += [
                f"  {number}. {line}" if n == 0 else f"     {line}"
                for n, line in enumerate(_request(request))
            ]
    if trial.failed is None:
        lines += ["", "Identified"]
        lines += [f"  {line}" for line in words.facts(list(trial.identity.items()))] or [
            "  This preset does not say who signed in."
        ]
    return lines


def _request(request: ShownRequest) -> list[str]:
    """A request: its address, parameters, headers and body, and how it was answered."""
    who = "browser" if request.by_browser else request.purpose
    lines = [plain(f"{request.method} {request.url} ({who}, answered {request.status})", LINE_MOST)]
    lines += [plain(f"? {name} = {value}", LINE_MOST) for name, value in request.query.items()]
    lines += [plain(f"{name}: {value}", LINE_MOST) for name, value in request.headers.items()]
    lines += [plain(f"{name} = {value}", LINE_MOST) for name, value in request.form.items()]
    if request.body:
        lines += [line[:LINE_MOST] for line in request.body.splitlines()]
    return lines
