"""`keyfob gateway config`: nginx, Caddy or Envoy carries the traffic, Keyfob decides."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from keyfob.cli.master_key import master_key
from keyfob.cli.options import Seconds, complete_accounts, pass_session
from keyfob.cli.session import Session
from keyfob.core.errors import KeyfobError, SettingWrong, Usage
from keyfob.core.hosts import is_loopback

if TYPE_CHECKING:
    from keyfob.gateway.engine_config.plan import Route

ENGINES = ("nginx", "caddy", "envoy")
LISTEN = "127.0.0.1:2080"
GATEWAY = "127.0.0.1:2026"


@click.group(short_help="Set up what stands beside keyfob serve: nginx, Caddy, Envoy, a master key.")
def gateway() -> None:
    """Print a configuration in which nginx, Caddy or Envoy carries the traffic and asks keyfob serve for each
    decision and for the credentials. Make the key that protects the secrets of accounts in PostgreSQL.

    \b
    Examples:
      keyfob gateway config nginx > /etc/nginx/conf.d/keyfob.conf
      keyfob gateway config caddy --public-name gateway.example.org --listen 0.0.0.0:443
      keyfob gateway master-key new /etc/keyfob/master.key
    """


gateway.add_command(master_key)


@gateway.command(short_help="Print a configuration for nginx, Caddy or Envoy.")
@click.argument("engine", type=click.Choice(ENGINES))
@click.option(
    "--account",
    "accounts",
    multiple=True,
    metavar="ACCOUNT",
    shell_complete=complete_accounts,
    help="Only this account. Default: all that may be shared.",
)
@click.option("--listen", default=LISTEN, show_default=True, metavar="ADDRESS:PORT")
@click.option("--public-name", metavar="NAME", help="The name that callers use.")
@click.option("--certificate", metavar="FILE", help="The TLS certificate of the public name, as PEM.")
@click.option("--certificate-key", metavar="FILE", help="Its private key, as PEM.")
@click.option("--upstream-ca", metavar="FILE", help="Who signs the providers' certificates, as PEM.")
@click.option(
    "--gateway", "serving", default=GATEWAY, show_default=True, metavar="ADDRESS:PORT", help="Keyfob's."
)
@click.option(
    "--cache",
    type=Seconds(0.05, 3600),
    metavar="SECONDS",
    help="nginx: keep decisions in memory. Ended grants are in force that much later.",
)
@pass_session
def config(
    session: Session,
    engine: str,
    accounts: tuple[str, ...],
    listen: str,
    public_name: str | None,
    certificate: str | None,
    certificate_key: str | None,
    upstream_ca: str | None,
    serving: str,
    cache: float | None,
) -> None:
    """Print a configuration for ENGINE with your accounts. Run keyfob serve beside it.

    The first time, this also makes the secret with which the engine asks, in Keyfob's data folder. Caddy and
    Envoy read it as KEYFOB_ENGINE_SECRET, nginx includes a file. Print the configuration again after you
    connect, rename or remove an account.

    \b
    Examples:
      keyfob gateway config nginx > /etc/nginx/conf.d/keyfob.conf
      keyfob gateway config caddy --account github --listen 127.0.0.1:8080
      keyfob gateway config nginx --cache 0.2
      keyfob gateway config envoy --public-name gateway.example.org --listen 0.0.0.0:443 \\
        --certificate /etc/keyfob/tls.pem --certificate-key /etc/keyfob/tls.key
    """
    from keyfob.gateway.engine_config import caddy, envoy, nginx
    from keyfob.gateway.engine_config.plan import SYSTEM_CA, Plan
    from keyfob.gateway.engine_secret import FILE, make_secret, write_private

    if bool(certificate) != bool(certificate_key):
        raise Usage("--certificate and --certificate-key belong together")
    if cache and engine != "nginx":
        raise Usage("Only nginx can keep decisions. Leave --cache out")
    if public_name is not None and not re.fullmatch(r"[A-Za-z0-9.-]{1,253}", public_name):
        raise Usage("--public-name is a host name, such as gateway.example.org")
    _checked_address("--listen", listen)
    if not is_loopback(_checked_address("--gateway", serving)):
        raise Usage("--gateway must be an address of this computer: the credentials pass there in the clear")
    files = [_absolute(file) for file in (certificate, certificate_key, upstream_ca)]
    routes = _routes(session, accounts, engine)
    data = session.engine.home.data
    secret = make_secret(data / FILE)
    secret_file = data / "engine.nginx.conf"
    if engine == "nginx":
        write_private(secret_file, f'proxy_set_header X-Keyfob-Engine "{secret}";\n')
    plan = Plan(
        routes=routes,
        gateway=serving,
        listen=listen,
        secret_file=str(secret_file),
        public_name=public_name,
        certificate=files[0],
        certificate_key=files[1],
        upstream_ca=files[2] or SYSTEM_CA,
        cache=cache or 0.0,
    )
    made = {"nginx": nginx, "caddy": caddy, "envoy": envoy}[engine].configuration(plan)
    session.exactly(made.rstrip("\n"))
    if engine != "nginx":
        session.note(f"Start {engine.title()} with the variable of {data / FILE}.")
    if not certificate and not (engine == "caddy" and public_name) and not is_loopback(plan.listen_host):
        session.note(f"Other computers can reach {listen} without TLS. Add --certificate.")


def _routes(session: Session, accounts: tuple[str, ...], engine: str) -> tuple[Route, ...]:
    """Raises what is wrong with a named account; of all accounts, those are left out and named in a note."""
    from keyfob.gateway.engine_config.plan import Route

    found = []
    for account in accounts or tuple(view.id for view in session.engine.accounts.views()):
        try:
            one = session.engine.signer.placement(account)
            if one.changes_query and engine != "nginx":
                raise SettingWrong(
                    f"{one.account}'s credentials stand in the address, which {engine.title()} cannot change",
                    remedy="Use nginx, or keyfob serve alone",
                )
        except KeyfobError as error:
            if accounts:
                raise
            session.note(f"{account} is left out: {error}")
            continue
        found.append(Route(one.account, one.base, one.secret, one.plain, one.optional))
    if not found:
        raise SettingWrong("There is no account for the configuration", remedy="Run: keyfob connect")
    return tuple(sorted(set(found), key=lambda route: route.account))


def _checked_address(option: str, text: str) -> str:
    """The host of `host:port`. Raises Usage."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 65536 or set(host) & set(" ;{}\"'\\/\n"):
        raise Usage(f"{option} is an address and a port, such as 127.0.0.1:2080")
    return host.strip("[]")


def _absolute(file: str | None) -> str | None:
    """Raises Usage for a name that the engines' languages would read as more than a name."""
    if file is None:
        return None
    found = str(Path(file).absolute())
    if not found.isprintable() or set(found) & set("\"'\\$`{}"):
        raise Usage(f"{found} has characters that an engine's configuration cannot hold")
    return found
