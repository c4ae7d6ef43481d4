"""The commands of docs/team-server.md do what the page says, in its order, between two homes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from keyfob.gateway.admin.operations import OPERATIONS
from support.oidc_provider import OidcProvider
from support.session import DesktopSession
from support.two_homes import Stage, two_homes
from support.workshop import program

PAGE = (Path(__file__).parents[2] / "docs/team-server.md").read_text("utf-8")


@pytest.fixture
def stage(session: DesktopSession, tmp_path: Path) -> Iterator[Stage]:
    with OidcProvider() as provider, two_homes(tmp_path, session.env, provider, "github") as made:
        yield made


def commands(section: str) -> list[str]:
    """The indented lines of a section; one that goes on is one."""
    text = PAGE.split(f"\n## {section}\n", 1)[1].split("\n## ", 1)[0]
    lines = "\n".join(line[4:] for line in text.splitlines() if line.startswith("    "))
    return lines.replace("\\\n", "").splitlines()


@pytest.mark.servers
@pytest.mark.network
@pytest.mark.keychain
@pytest.mark.timeout(600)
def test_the_commands(stage: Stage) -> None:
    program("curl", "curl")
    first, *exports = commands("The first administrator")
    (stage.desktop.home / "server-key").write_text(stage.server.run("sh", "-ec", first).out)
    before = "; ".join(exports).replace("https://gateway.example.com", stage.url)

    def shell(command: str) -> str:
        ran = stage.desktop.run("sh", "-ec", f"{before}; {command}", **stage.browser())
        assert ran.code == 0, (command, ran.err)
        return ran.out

    connect, accounts, disconnect = commands("Connect an account from your desktop")
    assert shell(connect).startswith("Connected as Alice on 127.0.0.1:")
    assert "github/team" in shell(accounts)
    create, grant, grants, audit, listing, posted = commands("Administer over HTTP")
    assert shell(create).startswith("sk-")
    assert f"{stage.url}/github/team" in shell(grant)
    assert "github/team" in shell(grants)
    assert "user:root" in shell(audit)
    assert [row["for"] for row in json.loads(shell(listing))["grants"]] == ["user:alice"]
    made = json.loads(shell(posted))
    assert (made["name"], made["methods"]) == ("release-bot", ["GET", "HEAD", "OPTIONS"])
    assert made["key"].startswith("sk-")
    assert shell(disconnect).startswith("Disconnected github/team.")


def test_the_table_of_addresses() -> None:
    named = re.findall(r"^\| `(GET|POST) (/v1/admin/\S+)` \|", PAGE, re.MULTILINE)
    assert sorted(named) == sorted((one.method, one.path) for one in OPERATIONS)
