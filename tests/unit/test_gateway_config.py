"""The printed configurations. Envoy's fits its documented schema; nginx and Caddy run theirs in tests/e2e."""

from __future__ import annotations

import importlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from keyfob.gateway.engine_config import caddy, envoy, nginx
from keyfob.gateway.engine_config.plan import NEVER_PASSED, Plan, Route
from keyfob.gateway.proxy.headers import to_provider
from support.certificates import Authority

MESSAGES = (
    "envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2",
    "envoy.extensions.filters.http.header_mutation.v3.header_mutation_pb2",
    "envoy.extensions.filters.http.ext_authz.v3.ext_authz_pb2",
    "envoy.extensions.filters.http.router.v3.router_pb2",
    "envoy.extensions.transport_sockets.tls.v3.tls_pb2",
)
ROUTES = (
    Route("anthropic/work", "https://127.0.0.1", ("x-api-key",), ("anthropic-version",), ("DPoP",)),
    Route("codex/me@example.org", "https://127.0.0.2/api/v1", optional=("account-id", "DPoP")),
    Route("plain/a.b", "http://127.0.0.3:8080/x", plain=("Accept",), optional=("DPoP",)),
)
PLAN = Plan(ROUTES, "127.0.0.1:2026", "127.0.0.1:2080", "/nonexistent")


@pytest.fixture
def plan(tmp_path: Path) -> Plan:
    (tmp_path / "secret.conf").write_text('proxy_set_header X-Keyfob-Engine "e";\n')
    authority = Authority(tmp_path)
    authority.server("gateway.example.org")
    (certificate,) = tmp_path.glob("server-*.pem")
    return replace(
        PLAN,
        secret_file=str(tmp_path / "secret.conf"),
        public_name="gateway.example.org",
        listen="0.0.0.0:8443",
        certificate=str(certificate),
        certificate_key=str(certificate.with_suffix(".key")),
        upstream_ca=str(authority.bundle),
    )


def envoys(found: Any, kind: str) -> list[dict[str, Any]]:
    """Each part of this type, wherever it stands."""
    if isinstance(found, dict):
        own = [found] if str(found.get("@type", "")).endswith(f".{kind}") else []
        return own + [part for value in found.values() for part in envoys(value, kind)]
    if isinstance(found, list):
        return [part for value in found for part in envoys(value, kind)]
    return []


@pytest.mark.parametrize("public", [True, False])
def test_envoys_fits_the_schema(plan: Plan, public: bool) -> None:
    """In the messages of its published API: unknown names and wrong types are errors."""
    for module in MESSAGES:
        importlib.import_module(module)
    bootstrap = importlib.import_module("envoy.config.bootstrap.v3.bootstrap_pb2").Bootstrap()
    importlib.import_module("google.protobuf.json_format").ParseDict(
        yaml.safe_load(envoy.configuration(plan if public else PLAN)), bootstrap
    )
    (listener,) = bootstrap.static_resources.listeners
    assert listener.address.socket_address.port_value == (8443 if public else 2080)
    assert len(bootstrap.static_resources.clusters) == 1 + len(ROUTES)


def test_envoy_asks_before_it_routes_and_fails_closed(plan: Plan) -> None:
    made = yaml.safe_load(envoy.configuration(plan))
    (manager,) = envoys(made, "HttpConnectionManager")
    assert [one["name"].rpartition(".")[2] for one in manager["http_filters"]] == [
        "header_mutation", "ext_authz", "router"
    ]  # fmt: skip
    (authorizer,) = envoys(made, "ExtAuthz")
    assert authorizer["failure_mode_allow"] is False
    assert authorizer["http_service"]["path_prefix"] == "/decide"
    assert manager["path_with_escaped_slashes_action"] == "REJECT_REQUEST"
    (host,) = manager["route_config"]["virtual_hosts"]
    assert host["domains"] == ["gateway.example.org", "gateway.example.org:8443"]
    for route, shown in zip(ROUTES, host["routes"], strict=True):
        assert shown["match"] == {"prefix": f"/{route.account}/"}
        assert shown["route"]["regex_rewrite"]["substitution"] == f"{route.path}/"
        removed = set(shown["request_headers_to_remove"])
        assert {"cookie", "x-keyfob-engine", "x-forwarded-for"} <= removed
        assert not removed & {name.lower() for name in route.headers}
    contexts = envoys(made, "UpstreamTlsContext")
    assert len(contexts) == 2, "the third account's API has no TLS"
    for context in contexts:
        (name,) = context["common_tls_context"]["validation_context"]["match_typed_subject_alt_names"]
        assert name["matcher"]["exact"] == context["sni"]


def test_no_configuration_holds_the_secret_itself(plan: Plan) -> None:
    assert "env.KEYFOB_ENGINE_SECRET" in caddy.configuration(plan)
    assert "ENVIRONMENT(KEYFOB_ENGINE_SECRET)" in envoy.configuration(plan)
    assert f'include "{plan.secret_file}"' in nginx.configuration(plan)


def test_an_engine_removes_what_the_gateway_removes() -> None:
    """Except what it has a wildcard for: the names in the list are all removed by the gateway too."""
    kept = to_provider([(name, "x") for name in NEVER_PASSED if not name.startswith("X-Original")], [])
    assert kept == []
