"""`keyfob serve`: the gateway."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from keyfob.cli.gateway_database import VARIABLE as DATABASE
from keyfob.cli.gateway_database import database_url
from keyfob.cli.options import Seconds, pass_session
from keyfob.cli.session import Session
from keyfob.core.errors import SettingWrong, Transient, Usage
from keyfob.core.hosts import is_loopback
from keyfob.gateway.packages import check_packages
from keyfob.process.team_accounts import TENANT

if TYPE_CHECKING:
    from aiohttp.web import Application
    from sqlalchemy.orm import Session as Transaction
    from sqlalchemy.orm import sessionmaker

    from keyfob.gateway.auth.result import AuthProvider
    from keyfob.gateway.proxy.parts import Parts
    from keyfob.gateway.web import WebSignIn

VARIABLE = "KEYFOB_GATEWAY_KEY"
TYPES = ("database", "static", "local", "oidc", "multi-oidc")


@click.command(short_help="Let programs call your accounts' APIs without their tokens.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Listen at this address.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    help="Listen on this port. Default: the setting gateway_port, 2026.",
)
@click.option("--api-key-stdin", is_flag=True, help="Read one key for all callers from stdin.")
@click.option(
    "--api-key",
    metavar="KEY",
    help="Use one key for all callers. Other users can read it in the process list.",
)
@click.option("--auth-type", type=click.Choice(TYPES), help="Who may call. Default: database.")
@click.option(
    "--auth-config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The settings of --auth-type, as YAML.",
)
@click.option(
    "--engine-secret",
    metavar="FILE",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The secret of nginx, Caddy or Envoy in front. Default: what keyfob gateway config made.",
)
@click.option(
    "--public-url",
    metavar="URL",
    help="Also sign users in to web applications, at this https address.",
)
@click.option(
    "--sign-in",
    "sign_in_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The providers to sign in with, as YAML. Default: Bluesky.",
)
@click.option(
    "--models",
    metavar="FILE",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Which account a model's name stands for. Default: what keyfob models add wrote.",
)
@click.option(
    "--head-within",
    type=Seconds(0.5, 600),
    default=15.0,
    show_default=True,
    metavar="SECONDS",
    help="End connections that do not send a request's head in this time.",
)
@click.option(
    "--connections",
    type=click.IntRange(1),
    default=2048,
    show_default=True,
    metavar="N",
    help="Connections of one address at a time.",
)
@pass_session
def serve(
    session: Session,
    host: str,
    port: int | None,
    api_key_stdin: bool,
    api_key: str | None,
    auth_type: str | None,
    auth_config: Path | None,
    engine_secret: Path | None,
    public_url: str | None,
    sign_in_file: Path | None,
    models: Path | None,
    head_within: float,
    connections: int,
) -> int:
    """Pass requests on to your accounts' APIs, with their credentials. Each caller sends its own key.

    http://127.0.0.1:2026/github/you/user is https://api.github.com/user with the token of github/you. A key
    may do only what a grant allows: see keyfob grants create. The one key of --api-key, --api-key-stdin or
    KEYFOB_GATEWAY_KEY may use every account.

    With --public-url, the server also hosts what a web application needs to sign users in: the client
    metadata document, the public keys, and the callback. Its sessions are in the same database.

    \b
    Examples:
      keyfob serve
      keyfob serve --auth-type static --auth-config keys.yaml
      keyfob serve --public-url https://app.example.org --sign-in sign-in.yaml
      keyfob serve --models models.yaml
      curl -H "Authorization: Bearer $KEY" http://127.0.0.1:2026/github/you/user
    """
    check_packages()
    from keyfob.gateway.admin.server import PREFIX, Administration
    from keyfob.gateway.auth.tables import close_database, open_database
    from keyfob.gateway.engine_secret import FILE, EngineSecret
    from keyfob.gateway.engines import Engines
    from keyfob.gateway.models import table_file
    from keyfob.gateway.models.routes import llm_addresses
    from keyfob.gateway.own_gateway import serving
    from keyfob.gateway.proxy.connections import Limits
    from keyfob.gateway.proxy.own import OwnAddress
    from keyfob.gateway.proxy.serving import fastest_loop
    from keyfob.gateway.proxy.serving import serve as run

    if os.environ.get(TENANT):
        raise Usage(f"A server serves all tenants. Unset {TENANT}")
    key = _one_key(session, api_key, api_key_stdin)
    if key is not None and (auth_type or auth_config):
        raise Usage("One key and --auth-type cannot be combined")
    config = _config(auth_config)
    if sign_in_file is not None and public_url is None:
        raise Usage("--sign-in needs --public-url")
    web = _web_sign_in(session, public_url, sign_in_file) if public_url is not None else None
    sessions = open_database(database_url())
    try:
        provider = _provider(key, auth_type or "database", config, auth_config, sessions)
        if not is_loopback(host):
            session.note(f"Other computers can reach {host}. Put a server with TLS in front of it.")
        engine = session.engine
        engines = Engines(engine)
        secret = EngineSecret(engine_secret or engine.home.data / FILE)
        administration = Administration(sessions, engines.of)
        table = table_file.WatchedTable(models or engine.home.config / table_file.FILE)

        def more(parts: Parts) -> list[OwnAddress]:
            return [OwnAddress(PREFIX, administration.handle), *llm_addresses(parts, engines.signer, table)]

        port = engine.settings.load().gateway_port if port is None else port
        with ExitStack() as held:
            if port and key is None and not auth_type and not os.environ.get(DATABASE):
                # The app's window then says who serves its grants. Two servers at once do no harm.
                with suppress(Transient):
                    held.enter_context(serving(engine.locks, port))
            held.callback(engines.close)
            held.enter_context(engines.renewing())
            server = run(
                engines.signer,
                provider,
                sessions,
                secret=secret,
                limits=Limits(head_within=head_within, from_address=connections),
                host=host,
                port=port,
                say=session.exactly,
                more=more,
                also=_routes(session, web) if web is not None else _no_routes,
            )
            with asyncio.Runner(loop_factory=fastest_loop()) as runner:
                runner.run(server)
    finally:
        close_database(sessions)
        if web is not None:
            web.close()
    return 0


def _web_sign_in(session: Session, public_url: str, file: Path | None) -> WebSignIn:
    from keyfob.gateway.web.hosted import hosted

    return hosted(session.engine, database_url(), public_url, _config(file), os.environ)


def _routes(session: Session, web: WebSignIn) -> Callable[[Application], None]:
    from keyfob.gateway.web.hosted import add_routes

    session.note(f"Users sign in at {web.settings.origin}{web.settings.prefix}")
    session.note(f"Redirect URI of app registrations: {web.settings.callback_url}")
    return lambda application: add_routes(application, web)


def _no_routes(_: Application) -> None: ...


def _one_key(session: Session, given: str | None, from_stdin: bool) -> str | None:
    if given is not None and from_stdin:
        raise Usage("--api-key and --api-key-stdin cannot be combined")
    if from_stdin:
        return session.secret_from_stdin("--api-key-stdin", "Key").reveal()
    return given or os.environ.get(VARIABLE) or None


def _config(file: Path | None) -> dict[str, Any]:
    import yaml

    if file is None:
        return {}
    try:
        found = yaml.safe_load(file.read_bytes())
    except (OSError, yaml.YAMLError):
        raise SettingWrong(f"{file} cannot be read as YAML") from None
    if not isinstance(found, dict):
        raise SettingWrong(f"{file} is not a mapping of settings")
    holds_secret = any(name in found for name in ("jwt_secret", "private_key", "api_keys"))
    apps = found.get("apps")
    if isinstance(apps, list):
        holds_secret |= any(isinstance(app, dict) and "client_secret" in app for app in apps)
    if holds_secret and sys.platform != "win32" and file.stat().st_mode & 0o077:
        raise SettingWrong(f"Other users can read {file}", remedy=f"Run: chmod 600 {file}")
    return found


def _provider(
    key: str | None,
    kind: str,
    config: dict[str, Any],
    file: Path | None,
    sessions: sessionmaker[Transaction],
) -> AuthProvider:
    from keyfob.gateway.auth import create_auth_provider
    from keyfob.gateway.auth.recorded import RecordedRefusals
    from keyfob.gateway.auth.uses import Uses

    if key is not None:
        kind, config = "api_key", {"api_key": key}
    elif kind == "static" and "file" not in config:
        config = {"file": str(file)} if file is not None else config  # which is then watched
    elif kind == "database":
        config = {**config, "session_factory": sessions}
    elif kind == "local" and "users" not in config:
        config = {"session_factory": sessions, **config}
    made = create_auth_provider(kind, config)
    assert made is not None
    # The others write down themselves what they refuse, and whose key it was.
    return made if kind in ("database", "local") else RecordedRefusals(made, Uses(sessions))
