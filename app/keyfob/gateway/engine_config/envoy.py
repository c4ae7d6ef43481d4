"""Envoy: the filter `ext_authz` with its HTTP service."""

from __future__ import annotations

import json
from collections.abc import Iterable
from ipaddress import ip_address

from keyfob.gateway.engine_config.plan import ASKED_WITH, NEVER_BACK, Plan, Route

# What only Keyfob's engines may say, so a caller's is removed before Keyfob is asked.
SPOOFED = (
    "x-keyfob-engine", "x-keyfob-account", "x-keyfob-upstream", "x-keyfob-client", "x-original-method",
    "x-original-uri", "x-forwarded-method", "x-forwarded-uri",
)  # fmt: skip
EXTENSIONS = "type.googleapis.com/envoy.extensions"
HEAD = """\
# Made by {made_by}.
# For Envoy 1.30 or newer: envoy -c FILE. It needs `keyfob serve` at {gateway} on this computer, and the
# environment variable KEYFOB_ENGINE_SECRET.
static_resources:
  listeners:
  - name: keyfob
    address: {listen}
    per_connection_buffer_limit_bytes: 65536
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": {ext}.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: keyfob
          # The decision and the provider get the same path. What can be read in two ways is refused.
          normalize_path: false
          merge_slashes: false
          path_with_escaped_slashes_action: REJECT_REQUEST
          use_remote_address: true
          skip_xff_append: true
          generate_request_id: false
          server_header_transformation: PASS_THROUGH
          request_headers_timeout: 15s
          stream_idle_timeout: 600s
          request_timeout: 0s
          common_http_protocol_options: {{ headers_with_underscores_action: REJECT_REQUEST }}
          upgrade_configs: [{{ upgrade_type: websocket }}]
          http_filters:
          # The secret is Keyfob's alone: each route removes it again.
          - name: envoy.filters.http.header_mutation
            typed_config:
              "@type": {ext}.filters.http.header_mutation.v3.HeaderMutation
              mutations:
                request_mutations:
{stripped}
                - append:
                    header: {{ key: x-keyfob-engine, value: "%ENVIRONMENT(KEYFOB_ENGINE_SECRET)%" }}
                    append_action: OVERWRITE_IF_EXISTS_OR_ADD
                - append:
                    header: {{ key: x-keyfob-client, value: "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%" }}
                    append_action: OVERWRITE_IF_EXISTS_OR_ADD
          - name: envoy.filters.http.ext_authz
            typed_config:
              "@type": {ext}.filters.http.ext_authz.v3.ExtAuthz
              transport_api_version: V3
              failure_mode_allow: false
              clear_route_cache: false
              status_on_error: {{ code: ServiceUnavailable }}
              allowed_headers:
                patterns:
{asked_with}
              http_service:
                server_uri: {{ uri: "http://{gateway}", cluster: keyfob, timeout: 60s }}
                path_prefix: /decide
                authorization_response:
                  allowed_upstream_headers:
                    patterns:
{headers}
                  allowed_client_headers:
                    patterns:
                    - {{ exact: www-authenticate }}
                    - {{ exact: retry-after }}
                    - {{ exact: content-type }}
                    - {{ exact: cache-control }}
          - name: envoy.filters.http.router
            typed_config:
              "@type": {ext}.filters.http.router.v3.Router
              suppress_envoy_headers: true
          route_config:
            name: keyfob
            response_headers_to_remove: {hidden}
            virtual_hosts:
            # Only under its own name: a page in a browser could come under another.
            - name: keyfob
              domains: {domains}
              routes:
{routes}
{tls}  clusters:
  - name: keyfob
    type: STATIC
    connect_timeout: 2s
    load_assignment:
      cluster_name: keyfob
      endpoints: [{{ lb_endpoints: [{{ endpoint: {{ address: {serving} }} }}] }}]
{clusters}"""
ROUTE = """\
              - match: {{ prefix: "/{account}/" }}
                route:
                  cluster: {cluster}
                  host_rewrite_literal: {host}
                  regex_rewrite: {{ pattern: {{ regex: "^/[^/]+/[^/]+/" }}, substitution: "{path}/" }}
                  timeout: 0s
                request_headers_to_remove: {dropped}
                typed_per_filter_config:
                  envoy.filters.http.header_mutation:
                    "@type": {ext}.filters.http.header_mutation.v3.HeaderMutationPerRoute
                    mutations:
                      request_mutations:
                      - append:
                          header: {{ key: x-keyfob-account, value: "{account}" }}
                          append_action: OVERWRITE_IF_EXISTS_OR_ADD
                      - append:
                          header: {{ key: x-keyfob-upstream, value: "{base}" }}
                          append_action: OVERWRITE_IF_EXISTS_OR_ADD
"""
CLUSTER = """\
  - name: {cluster}
    type: STRICT_DNS
    connect_timeout: 30s
    load_assignment:
      cluster_name: {cluster}
      endpoints: [{{ lb_endpoints: [{{ endpoint: {{ address: {address} }} }}] }}]
"""
TLS = """\
    transport_socket:
      name: envoy.transport_sockets.tls
      typed_config:
        "@type": {ext}.transport_sockets.tls.v3.UpstreamTlsContext
        sni: {name}
        common_tls_context:
          validation_context:
            trusted_ca: {{ filename: "{ca}" }}
            match_typed_subject_alt_names: [{{ san_type: {kind}, matcher: {{ exact: "{name}" }} }}]
"""
DOWNSTREAM = """\
      transport_socket:
        name: envoy.transport_sockets.tls
        typed_config:
          "@type": {ext}.transport_sockets.tls.v3.DownstreamTlsContext
          common_tls_context:
            tls_certificates:
            - certificate_chain: {{ filename: "{certificate}" }}
              private_key: {{ filename: "{key}" }}
"""


def configuration(plan: Plan) -> str:
    """The whole file."""
    asked = [*ASKED_WITH, "X-Keyfob-Engine", "X-Keyfob-Account", "X-Keyfob-Upstream", "X-Keyfob-Client"]
    asked += [name for route in plan.routes for name in route.secret]
    ours = _lower(name for route in plan.routes for name in route.headers)
    domains = [text for name in plan.names for text in (name, f"{name}:{plan.listen_port}")]
    listen_tls = (
        DOWNSTREAM.format(ext=EXTENSIONS, certificate=plan.certificate, key=plan.certificate_key)
        if plan.certificate
        else ""
    )
    return HEAD.format(
        ext=EXTENSIONS,
        made_by=plan.made_by,
        gateway=plan.gateway,
        listen=_address(plan.listen_host, plan.listen_port),
        stripped=_rows("- remove: {}", SPOOFED, 16),
        asked_with=_rows("- {{ exact: {} }}", _lower(asked), 16),
        headers=_rows("- {{ exact: {} }}", ours, 20),
        hidden=json.dumps(list(NEVER_BACK)),
        domains=json.dumps(domains),
        routes="\n".join(_route(route, number) for number, route in enumerate(plan.routes, 1)),
        tls=listen_tls,
        serving=_address(*_host_and_port(plan.gateway)),
        clusters="".join(_cluster(plan, route, number) for number, route in enumerate(plan.routes, 1)),
    )


def _route(route: Route, number: int) -> str:
    return ROUTE.format(
        ext=EXTENSIONS,
        account=route.account,
        cluster=f"keyfob_{number}",
        host=route.host,
        path=route.path,
        base=route.base,
        dropped=json.dumps([*_lower(route.dropped), "x-envoy-external-address"]),
    )


def _cluster(plan: Plan, route: Route, number: int) -> str:
    made = CLUSTER.format(cluster=f"keyfob_{number}", address=_address(route.name, route.port))
    if route.tls:
        kind = "IP_ADDRESS" if _is_ip(route.name) else "DNS"
        made += TLS.format(ext=EXTENSIONS, name=route.name, ca=plan.upstream_ca, kind=kind)
    return made


def _address(host: str, port: int) -> str:
    return f'{{ socket_address: {{ address: "{host}", port_value: {port} }} }}'


def _host_and_port(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    host = host.strip("[]")
    return ("127.0.0.1" if host == "localhost" else host), int(port)


def _is_ip(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


def _lower(names: Iterable[str]) -> list[str]:
    return list(dict.fromkeys(name.lower() for name in names))


def _rows(form: str, names: Iterable[str], indent: int) -> str:
    return "\n".join(" " * indent + form.format(name) for name in names)
