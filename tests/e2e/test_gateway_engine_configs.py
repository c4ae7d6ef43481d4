"""nginx and Caddy read every form of the configuration that Keyfob prints."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from keyfob.gateway.engine_config import caddy, nginx
from keyfob.gateway.engine_config.plan import Plan, Route
from support.certificates import Authority

pytestmark = [pytest.mark.servers]
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


@pytest.mark.parametrize("cache", [0.0, 0.2])
def test_nginx_reads_it(plan: Plan, tmp_path: Path, cache: float) -> None:
    (tmp_path / "printed.conf").write_text(nginx.configuration(replace(plan, cache=cache)))
    modules = "".join(
        f"include /usr/share/nginx/modules-available/mod-http-{name}.conf;\n" for name in ("ndk", "lua")
    )
    (tmp_path / "nginx.conf").write_text(
        f"{modules if cache else ''}pid {tmp_path}/pid;\nevents {{}}\nhttp {{ access_log off;\n"
        f"client_body_temp_path {tmp_path}/b;\nproxy_temp_path {tmp_path}/p;\n"
        f"fastcgi_temp_path {tmp_path}/f;\nuwsgi_temp_path {tmp_path}/u;\nscgi_temp_path {tmp_path}/s;\n"
        "include printed.conf; }\n"
    )
    ran = subprocess.run(
        ["nginx", "-t", "-e", str(tmp_path / "log"), "-c", str(tmp_path / "nginx.conf")],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
    assert "warn" not in ran.stderr


@pytest.mark.parametrize("public", [True, False])
def test_caddy_reads_it(plan: Plan, tmp_path: Path, public: bool) -> None:
    file = tmp_path / "Caddyfile"
    file.write_text(caddy.configuration(plan if public else PLAN))
    ran = subprocess.run(
        ["caddy", "validate", "--adapter", "caddyfile", "--config", str(file)],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)},
        timeout=60,
    )
    assert ran.returncode == 0, ran.stderr
