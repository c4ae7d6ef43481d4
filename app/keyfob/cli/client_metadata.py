"""`keyfob client-metadata`: the document to host if the client id is an address."""

from __future__ import annotations

import click

from keyfob.cli.options import json_option, pass_session, provider_argument
from keyfob.cli.session import Session
from keyfob.core.errors import Usage
from keyfob.core.provider import Provider


@click.command("client-metadata", short_help="Print the client metadata document to host.")
@provider_argument
@click.option(
    "--client-id",
    metavar="URL",
    help="The https address where you will host the document. Default: the client id saved for the provider.",
)
@click.option(
    "--redirect-uri",
    "redirect_uris",
    multiple=True,
    metavar="URI",
    help="A redirect URI of this client. Repeatable. Default: the preset's.",
)
@click.option(
    "--scope",
    "scopes",
    multiple=True,
    metavar="S",
    help="A scope that the client may request. Repeatable. Default: the preset's.",
)
@click.option(
    "--name", default="Keyfob", show_default=True, metavar="T", help="The app name that the provider shows."
)
@click.option("--uri", metavar="URL", help="The app's home page.")
@json_option
@pass_session
def client_metadata(
    session: Session,
    provider: str,
    client_id: str | None,
    redirect_uris: tuple[str, ...],
    scopes: tuple[str, ...],
    name: str,
    uri: str | None,
) -> None:
    """Print a client metadata document for your own client at PROVIDER. Host it at the client id.

    In atproto and similar protocols, a client id is the address of such a document. If you created keys for
    the provider (`keyfob jwk generate`), the document describes a confidential client. Otherwise it describes
    a public client. atproto servers refuse a confidential client with a loopback redirect, so Keyfob signs in
    there with a public client. A server with a public address can be a confidential one: see keyfob serve
    --public-url. The document contains no secret, and is the same with or without --json.

    \b
    Example:
      keyfob client-metadata bluesky --client-id https://example.org/keyfob.json > keyfob.json
    """  # fmt: skip
    from keyfob.protocol.atproto.client_metadata import client_metadata as document_of

    engine = session.engine
    preset = engine.providers.get(provider)
    if client_id is None:
        known = engine.clients.known(preset, {})
        if known is None:
            raise Usage(
                "The address of the document is missing",
                remedy="Add --client-id https://…",
            )
        client_id = known.client_id
    keys = session.engine.client_keys
    session.document(
        document_of(
            preset,
            client_id,
            redirect_uris=redirect_uris or _redirects(preset),
            scopes=scopes or None,
            keys=session.finish(lambda: keys.of(preset.id)),
            client_name=name,
            client_uri=uri,
        )
    )


def _redirects(provider: Provider) -> tuple[str, ...]:
    """The preset's redirect as such documents want it: a loopback address without its port fits any port
    (RFC 8252 §7.3).
    """
    redirect = provider.redirect
    if redirect.uri:
        return (redirect.uri,)
    host = f"[{redirect.host}]" if ":" in redirect.host else redirect.host
    if redirect.ports and redirect.registered_port:
        return tuple(f"http://{host}:{port}{redirect.path}" for port in redirect.ports)
    return (f"http://{host}{redirect.path}",)
