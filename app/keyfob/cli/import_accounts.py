"""`keyfob import`: keys that other tools keep in plain files, moved to the keychain."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from keyfob.cli import words
from keyfob.cli.options import json_option, pass_session
from keyfob.cli.session import Session
from keyfob.cli.signing_in import sign_in
from keyfob.core.errors import KeychainError, KeyfobError, SettingWrong, SignInEnded, Usage
from keyfob.core.secret import Secret
from keyfob.service import legacy
from keyfob.service.views import SignInRequest

MOST_BYTES = 1024 * 1024


@click.command("import", short_help="Move keys that other tools keep in plain files to the keychain.")
@click.argument("source", type=click.Choice(list(legacy.SOURCES)))
@click.option(
    "--file", "path", type=click.Path(path_type=Path), help="The file, where it is not in its usual place."
)
@click.option("--dry-run", is_flag=True, help="Show what would be done, and do nothing.")
@click.option(
    "--blank",
    is_flag=True,
    help="Take what was moved out of the file, so that it stands nowhere in the clear.",
)
@json_option
@pass_session
def import_accounts(session: Session, source: str, path: Path | None, dry_run: bool, blank: bool) -> None:
    """Move the API keys and tokens in a file of SOURCE to the keychain.

    Each is tried at its provider first and becomes an account of the method api_key. The file stays as it is unless
    --blank is given. What cannot be moved is told with the reason: a sign-in that another tool goes on renewing
    stays that tool's.

    \b
    Sources:
      gh               GitHub's command line, hosts.yml
      git-credentials  git's credential store
      netrc            .netrc
      codex            Codex's auth.json
      env              a file of variables, such as OPENAI_API_KEY (needs --file)
      nexus            a mod tool's JSON settings with a Nexus Mods key (needs --file)
      emailproxy       an e-mail OAuth proxy's configuration (needs --file)

    \b
    Examples:
      keyfob import gh --dry-run
      keyfob import env --file .env --blank
    """  # fmt: skip
    place = path or _usual_place(source)
    text = _read(place)
    found = legacy.read(source, text)
    outcomes: list[dict[str, Any]] = []
    moved: list[Secret] = []
    failures: list[KeyfobError] = []
    for item in found:
        outcome: dict[str, Any] = {"provider": item.provider, "whose": item.whose, "account": None}
        outcomes.append(outcome)
        if item.secret is None or item.provider is None:
            outcome |= {"outcome": "left", "message": item.why}
        elif dry_run:
            outcome |= {"outcome": "would_move", "message": None}
        else:
            request = SignInRequest(item.provider, "api_key", api_key=item.secret, inputs=item.inputs)
            try:
                view = sign_in(session, request)
            except (KeychainError, SignInEnded):
                raise  # nothing further can be kept, or the person has had enough
            except KeyfobError as error:
                failures.append(error)
                outcome |= {"outcome": "refused", "message": error.message, "code": error.code}
            else:
                moved.append(item.secret)
                outcome |= {"outcome": "moved", "message": None, "account": view.id}
    if failures and not moved:
        raise failures[0]
    if blank and moved:
        # Read again: the tool may have written to it while the providers were asked.
        _blank(place.resolve(), legacy.blanked(source, _read(place), moved))
    if session.json:
        session.document({"file": str(place), "blanked": bool(blank and moved), "found": outcomes})
        return
    _tell(session, place, outcomes, blanked=bool(blank and moved))


def _tell(session: Session, place: Path, outcomes: list[dict[str, Any]], *, blanked: bool) -> None:
    if not outcomes:
        session.say(f"Nothing for Keyfob in {place}")
        return
    says = {"moved": "moved", "would_move": "would be moved", "left": "left", "refused": "refused"}
    rows = [
        (
            says[entry["outcome"]],
            entry["provider"] or "-",
            entry["whose"],
            entry["account"] or entry["message"] or "",
        )
        for entry in outcomes
    ]
    for line in words.table(rows, ("", "PROVIDER", "WHOSE", "")):
        session.say(line)
    for provider in sorted({e["provider"] for e in outcomes if e["outcome"] == "left" and e["provider"]}):
        session.note(f"Sign in yourself with: keyfob connect {provider}")
    if blanked:
        session.note(f"What was moved is no longer in {place}.")
    elif any(entry["outcome"] == "moved" for entry in outcomes):
        session.note(f"What was moved still stands in {place} in the clear; --blank takes it out.")


def _usual_place(source: str) -> Path:
    home = Path.home()
    config = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    match source:
        case "gh":
            return Path(os.environ.get("GH_CONFIG_DIR") or config / "gh") / "hosts.yml"
        case "git-credentials":
            usual = home / ".git-credentials"
            return usual if usual.exists() else config / "git" / "credentials"
        case "netrc":
            return home / ".netrc"
        case "codex":
            return Path(os.environ.get("CODEX_HOME") or home / ".codex") / "auth.json"
    raise Usage(f"The file of {source} has no usual place", remedy="Name it with --file.")


def _read(place: Path) -> str:
    try:
        with place.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise Usage(
            f"{place} cannot be read: {error.strerror}", remedy="Name the right file with --file."
        ) from error
    if len(data) > MOST_BYTES:
        raise Usage(f"{place} is too big for such a file", remedy="Name the right file with --file.")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Usage(f"{place} is no text", remedy="Name the right file with --file.") from error


def _blank(place: Path, text: str) -> None:
    from keyfob.adapters.home import write_private

    try:
        write_private(place, text.encode())
    except OSError as error:
        raise SettingWrong(
            f"{place} cannot be written: {error.strerror}",
            remedy="The keys are moved; take them out of the file yourself.",
        ) from error
