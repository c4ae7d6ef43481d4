"""The commands of docs/gateway.md work as they stand there."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.session import DesktopSession
from support.workshop import Bench, bench_at

pytestmark = [pytest.mark.network, pytest.mark.keychain]
PAGE = (Path(__file__).parents[2] / "docs" / "gateway.md").read_text("utf-8")
ACCOUNTS = ("github", "gitlab", "openai-api", "mcp-example-com")
SECTIONS = ("Give a program access in a terminal", "Set up a tool", "MCP servers")


def commands(section: str) -> list[str]:
    text = PAGE.partition(f"## {section}\n")[2].partition("\n## ")[0]
    return re.findall(r"^    (keyfob .*)$", text, re.MULTILINE)


@pytest.fixture(scope="module")
def bench(session: DesktopSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """With accounts of these names, which the demo provider serves."""
    with bench_at(tmp_path_factory.mktemp("page"), session.env) as made:
        for name in ACCOUNTS:
            made.connect(name, hosts=("gitlab.com", "github.com"))
        yield made


@pytest.mark.parametrize("section", SECTIONS)
def test_the_commands_of_a_section(bench: Bench, section: str) -> None:
    found = commands(section)
    assert len(found) >= 2
    for line in found:
        words = shlex.split(line)[1:]
        if words[0] == "connect":
            continue  # to an address that is not there: test_gateway_mcp.py does it
        if words[:2] == ["grants", "revoke"]:
            rows = bench.keyfob("grants", "list", "--json").json["grants"]
            words[2] = next(row["grant_id"] for row in rows if row["state"] == "active")
        asks = words[0] in ("wire", "unwire")
        done = bench.keyfob(*words, *(["--yes"] if asks else []))
        assert done.code == 0, (line, done.err)
    bench.keyfob("unwire", "--all", "--yes")
