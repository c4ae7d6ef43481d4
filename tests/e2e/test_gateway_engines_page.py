"""The commands of docs/gateway-engines.md put nginx in front of a gateway."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from support.certificates import Authority
from support.engines import engine_at
from support.gateway_rig import rig_at
from support.session import DesktopSession

pytestmark = [pytest.mark.servers, pytest.mark.network, pytest.mark.keychain]

PAGE = (Path(__file__).parents[2] / "docs/gateway-engines.md").read_text("utf-8")
PLACE = "/etc/nginx/conf.d/keyfob.conf"


def test_the_commands(session: DesktopSession, tmp_path: Path) -> None:
    first, cached = re.findall(r"^    (keyfob gateway config nginx .*)$", PAGE, re.MULTILINE)
    assert "    keyfob serve &\n" in PAGE  # which the rig has started
    (reload,) = set(re.findall(r"^    (nginx -s reload)$", PAGE, re.MULTILINE))
    home, mine = tmp_path / "rig", tmp_path / "engine"
    home.mkdir()
    mine.mkdir(mode=0o700)
    authority = Authority(tmp_path)
    with rig_at(home, session, authority) as rig:
        trusts = ("--upstream-ca", str(authority.bundle))
        with engine_at(rig, "nginx-lua", mine, *trusts) as engine:
            here = f"--listen 127.0.0.1:{engine.port} --gateway 127.0.0.1:{rig.port} {' '.join(trusts)}"
            for command in (first, cached):
                assert command.endswith(f"> {PLACE}")
                ours = command.replace("config nginx", f"config nginx {here}").replace(
                    PLACE, str(mine / "printed.conf")
                )
                again = reload.replace("nginx", f"nginx -c {mine / 'nginx.conf'}")
                ran = subprocess.run(
                    ["sh", "-ec", f"{ours}\n{again}"],
                    env=rig.bench.env,
                    capture_output=True,
                    text=True,
                    timeout=60,
                    check=False,
                )
                assert ran.returncode == 0, ran.stderr
                key = rig.grant("--name", "release-bot")["key"]
                assert engine.get(key, "/echo").json()["method"] == "GET"
        assert "lua_shared_dict" in (mine / "printed.conf").read_text()  # the second one keeps decisions
