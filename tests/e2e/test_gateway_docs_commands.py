"""The commands of docs/callers.md and of a team's server (docs/team-server.md) do what the pages say."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest

from support.postgres import Postgres
from support.running import free_port

pytestmark = [pytest.mark.servers, pytest.mark.network]

DOCS = Path(__file__).parents[2] / "docs"
NAMED_KEY = "k3v9x2m8q1ab"  # as the page has it


@pytest.fixture(scope="module")
def server() -> Iterator[Postgres]:
    with Postgres() as running:
        yield running


class Shell:
    """A user's shell with `keyfob` and PostgreSQL's programs on its path."""

    def __init__(self, home: Path, server: Postgres) -> None:
        (home / "bin").mkdir(parents=True)
        script = home / "bin" / "keyfob"
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m keyfob "$@"\n', "utf-8")
        script.chmod(0o755)
        socket = parse_qs(urlsplit(server.url).query)["host"][0]
        self.home = home
        self.env = {
            "PATH": os.pathsep.join([str(home / "bin"), str(server.programs), os.environ["PATH"]]),
            "HOME": str(home),
            "KEYFOB_HOME": str(home / "keyfob"),
            "PYTHONPATH": os.pathsep.join(sys.path),
            "PGHOST": socket,
            "PGUSER": "postgres",
        }

    def run(self, command: str, stdin: str = "") -> str:
        ran = subprocess.run(
            ["sh", "-ec", command],
            env=self.env,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=120,
            cwd=self.home,
            check=False,
        )
        assert ran.returncode == 0, (command, ran.stderr)
        return ran.stdout

    def export(self, line: str) -> None:
        name, _, value = line.removeprefix("export ").partition("=")
        self.env[name] = value


def commands(page: str, heading: str) -> list[str]:
    """The shell commands of a section."""
    text = (DOCS / page).read_text("utf-8")
    found = re.search(rf"^(#+) {re.escape(heading)}\n(.*?)(?=^#{{1,3}} |\Z)", text, re.MULTILINE | re.DOTALL)
    assert found is not None, heading
    text = re.sub(r"^```.*?^```", "", found[2], flags=re.MULTILINE | re.DOTALL)
    lines = [line[4:] for line in text.splitlines() if line.startswith("    ")]
    return [line for line in lines if not line.startswith(("create_auth_provider", "pip install"))]


def test_keys_in_a_database(server: Postgres, tmp_path: Path) -> None:
    shell = Shell(tmp_path / "home", server)
    create, listing, rotate, revoke, audit, export, again = commands("callers.md", "Keys in a database")
    key = shell.run(create).strip()
    key_id = key.split("-")[1]
    assert re.fullmatch(r"sk-[a-z0-9]{12}-[0-9a-f]{32}", key)
    assert key_id in shell.run(listing)
    newer = shell.run(rotate.replace(NAMED_KEY, key_id)).strip()
    assert newer.startswith("sk-")
    shell.run(revoke.replace(NAMED_KEY, key_id))
    assert "revoked" in shell.run(audit)
    assert export == "export KEYFOB_DATABASE_URL=postgresql://keyfob@db.example.org/keyfob"
    shell.env["KEYFOB_DATABASE_URL"] = server.url
    assert shell.run(again).startswith("sk-")
    assert [row["user_id"] for row in json.loads(shell.run("keyfob keys list --json"))["keys"]] == ["alice"]


def test_people_with_passwords(server: Postgres, tmp_path: Path) -> None:
    shell = Shell(tmp_path / "home", server)
    add, passwd, disable = commands("callers.md", "People with passwords")
    shell.run(add, stdin="correct horse battery\n")
    shell.run(passwd, stdin="another horse battery\n")
    shell.run(disable)
    [row] = json.loads(shell.run("keyfob users list --json"))["users"]
    assert (row["user_id"], row["tenant_id"]) == ("alice", "tools")
    assert row["disabled_at"] is not None


def test_several_gateways(server: Postgres, tmp_path: Path) -> None:
    shell = Shell(tmp_path / "home", server)
    keys = tmp_path / "master.keys"
    createdb, url, file, new, serve = commands("team-server.md", "Set up")
    shell.run(createdb)
    shell.export(url.replace("keyfob@db.example.org/keyfob", f"postgres@/keyfob?host={shell.env['PGHOST']}"))
    shell.export(file.replace("/etc/keyfob/master.keys", str(keys)))
    shell.run(new)
    assert keys.stat().st_mode & 0o777 == 0o600
    key = shell.run("keyfob keys create --user root --admin").strip()
    port = free_port()
    with subprocess.Popen(
        ["sh", "-ec", f"exec {serve} --port {port}"],
        env=shell.env,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as gateway:
        try:
            assert gateway.stdout is not None
            assert gateway.stdout.readline().startswith("Listening on ")
            answer = httpx.get(
                f"http://127.0.0.1:{port}/v1/admin/accounts", headers={"Authorization": f"Bearer {key}"}
            )
            assert (answer.status_code, answer.json()["accounts"]) == (200, [])
            for command in commands("team-server.md", "Whose accounts a command uses"):
                assert "There are no accounts yet" in shell.run(command)
            before = keys.read_text()
            for command in commands("team-server.md", "Replace the master key"):
                shell.run(command)
            assert keys.read_text() != before
        finally:
            gateway.terminate()
            gateway.wait(60)
    dump, createdb, restore = commands("team-server.md", "Back up and restore")
    shell.run(dump)
    shell.run("dropdb keyfob")
    shell.run(createdb)
    shell.run(restore)
    assert [row["user_id"] for row in json.loads(shell.run("keyfob keys list --json"))["keys"]] == ["root"]
