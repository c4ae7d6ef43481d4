"""Caddy: `forward_auth`."""

from __future__ import annotations

import re

from keyfob.gateway.engine_config.plan import NEVER_BACK, SYSTEM_CA, Plan, Route

HEAD = """\
# Made by {made_by}.
# A Caddyfile, for Caddy 2.6 or newer: caddy run --config FILE. It needs `keyfob serve` at {gateway} on this
# computer, and the environment variable KEYFOB_ENGINE_SECRET.

{sites} {{
{tls}\troute {{
{routes}
\t\trespond `{{"code": "not_found", "detail": "There is no such address", "status": 404}}` 404
\t}}
}}
{other}"""
OTHER = """
# Another name than the server's: a page in a browser could come under it.
http://{address} {{
{bind}\trespond 421
}}
"""
ROUTE = """\
\t\t# {account} is {base}
\t\t@account{number} path /{account}/*
\t\thandle @account{number} {{
\t\t\troute {{
\t\t\t\t# Keyfob decides, by the address as it was sent.
\t\t\t\tforward_auth {gateway} {{
\t\t\t\t\turi /decide
\t\t\t\t\theader_up Host {gateway}
\t\t\t\t\theader_up X-Keyfob-Engine {{env.KEYFOB_ENGINE_SECRET}}
\t\t\t\t\theader_up X-Keyfob-Account {account}
\t\t\t\t\theader_up X-Keyfob-Upstream {base}
\t\t\t\t\theader_up X-Keyfob-Client {{remote_host}}
\t\t\t\t\theader_up -X-Original-Method
\t\t\t\t\theader_up -X-Original-URI
\t\t\t\t\theader_up -Cookie
\t\t\t\t\t# The account's credentials. The caller's own are overwritten.
\t\t\t\t\tcopy_headers {headers}
\t\t\t\t}}
{optional}
\t\t\t\t# The rest of the path stays as it was sent.
\t\t\t\turi path_regexp ^/[^/]+/[^/]+/ {path}/
\t\t\t\treverse_proxy {upstream} {{
\t\t\t\t\theader_up Host {host}
\t\t\t\t\t# The caller's credentials, and what says where a request came from, never reach the provider.
{dropped}
{hidden}
\t\t\t\t\t# A redirect within the API leads through here again.
\t\t\t\t\theader_down Location ^{location} /{account}/
\t\t\t\t\t# Each byte leaves as it comes.
\t\t\t\t\tflush_interval -1
\t\t\t\t\ttransport http {{
\t\t\t\t\t\tdial_timeout 30s
\t\t\t\t\t\tresponse_header_timeout 600s
\t\t\t\t\t\tcompression off
{tls}\t\t\t\t\t}}
\t\t\t\t}}
\t\t\t}}
\t\t}}
"""
ANY = ("0.0.0.0", "::")  # noqa: S104 - it is only compared
WILD = ("X-Forwarded-", "X-Keyfob-", "Sec-Fetch-", "Sec-CH-")  # removed by prefix


def configuration(plan: Plan) -> str:
    """The whole file."""
    scheme = "http://" if plan.certificate is None and plan.public_name is None else "https://"
    port = plan.listen_port
    usual = port == (443 if scheme == "https://" else 80)
    sites = ", ".join(f"{scheme}{name}{'' if usual else f':{port}'}" for name in plan.names)
    host = plan.listen_host
    everywhere = host in ANY
    lines = "" if everywhere else f"\tbind {host}\n"
    if plan.certificate is not None:
        lines += f'\ttls "{plan.certificate}" "{plan.certificate_key}"\n'
    routes = "\n".join(_route(plan, route, number) for number, route in enumerate(plan.routes, 1))
    other = OTHER.format(address=f":{port}", bind="" if everywhere else f"\tbind {host}\n")
    return HEAD.format(
        made_by=plan.made_by,
        gateway=plan.gateway,
        sites=sites,
        tls=lines,
        routes=routes,
        other=other if scheme == "http://" else "",
    )


def _route(plan: Plan, route: Route, number: int) -> str:
    headers = route.headers
    optional = "\n".join(
        f"\t\t\t\t@no{number}_{at} header_regexp {name} ^$\n\t\t\t\trequest_header @no{number}_{at} -{name}"
        for at, name in enumerate(route.optional)
    )
    dropped = [name for name in route.dropped if not name.startswith(WILD)]
    tls = f"\t\t\t\t\t\ttls_server_name {route.name}\n" if route.tls else ""
    if route.tls and plan.upstream_ca != SYSTEM_CA:
        tls += f'\t\t\t\t\t\ttls_trusted_ca_certs "{plan.upstream_ca}"\n'
    return ROUTE.format(
        account=route.account,
        base=route.base,
        number=number,
        gateway=plan.gateway,
        headers=" ".join(headers),
        optional=optional,
        path=route.path,
        upstream=f"{'https' if route.tls else 'http'}://{route.address}",
        host=route.host,
        location=f"({re.escape(_origin(route))})?{re.escape(route.path)}/",
        dropped="\n".join(
            [f"\t\t\t\t\theader_up -{name}" for name in dropped]
            + [f"\t\t\t\t\theader_up -{prefix}*" for prefix in WILD]
        ),
        hidden="\n".join(f"\t\t\t\t\theader_down -{name}" for name in NEVER_BACK),
        tls=tls,
    )


def _origin(route: Route) -> str:
    return f"{'https' if route.tls else 'http'}://{route.host}"
