"""`keyfob wire TOOL --through-gateway`: the real git, pip and npm get what they want through the gateway.

Each has a key of its own, and never holds the account's token.
"""

from __future__ import annotations

import json
import os
import stat
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from support import python_tools
from support.gateway import gateway_of
from support.node import node, npm
from support.running import Ran
from support.session import DesktopSession
from support.workshop import Bench, bench_at

pytestmark = [pytest.mark.servers, pytest.mark.network, pytest.mark.keychain]


@pytest.fixture(scope="module")
def shared(session: DesktopSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Bench, str]]:
    with bench_at(tmp_path_factory.mktemp("wire"), session.env) as bench:
        bench.connect()
        bench.shop.repository()
        with gateway_of(bench) as address:
            yield bench, address


@pytest.fixture
def bench(shared: tuple[Bench, str]) -> Iterator[Bench]:
    bench, _ = shared
    bench.shop.seen.clear()
    for name in (".gitconfig", ".npmrc"):
        (bench.home / name).unlink(missing_ok=True)
    yield bench
    assert bench.keyfob("unwire", "--all", "--yes").code == 0
    assert grants(bench) == []


@pytest.fixture
def gateway(shared: tuple[Bench, str]) -> str:
    return shared[1]


def wired(bench: Bench, gateway: str, *words: str) -> dict[str, Any]:
    """Wires, and checks that a second time changes nothing."""
    words = ("wire", *words, "--through-gateway", "--gateway", gateway, "--yes", "--json")
    done = bench.keyfob(*words)
    assert done.code == 0, done.err
    before = grants(bench)
    again = bench.keyfob(*words)
    assert (again.code, again.json["changed"], grants(bench)) == (0, [], before), again.err
    assert again.json["gateway"] == done.json["gateway"]
    for name in done.json["changed"]:
        assert not bench.files_with(bench.token()), name
    found: dict[str, Any] = done.json
    return found


def grants(bench: Bench) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = bench.keyfob("grants", "list", "--json").json["grants"]
    return found


def key_of(bench: Bench, tool: str) -> str:
    return bench.keyfob("credential", "gateway", tool).out.strip()


def unwired(bench: Bench, tool: str, before: dict[Path, str | None]) -> None:
    """Undoes, and checks that each file is as it was, and that the key has ended."""
    key = key_of(bench, tool)
    assert bench.keyfob("unwire", tool, "--yes").code == 0
    for path, text in before.items():
        assert (path.read_text() if path.exists() else None) == text
        assert not path.with_name(path.name + ".before-keyfob").exists()
    assert bench.files_with(key) == []
    assert grants(bench) == []
    assert bench.keyfob("credential", "gateway", tool).code != 0
    assert "not wired" in bench.keyfob("unwire", tool, "--yes").out


def get(url: str, key: str) -> httpx.Response:
    return httpx.get(url, headers={"Authorization": f"Bearer {key}"}, trust_env=False)


# --- git ----------------------------------------------------------------------------------------------------


def clone(bench: Bench, name: str) -> Ran:
    return bench.run("git", "clone", "-q", f"{bench.shop.base}/git/box.git", name)


def test_git(bench: Bench, gateway: str) -> None:
    config = bench.home / ".gitconfig"
    config.write_text(old := "[user]\n\tname = A\n\temail = a@b.example\n")
    assert clone(bench, "before").code != 0
    done = wired(bench, gateway, "git", "workshop", "--host", bench.shop.host)
    assert done["changed"] == [str(config)]
    (grant,) = grants(bench)
    assert (grant["name"], grant["account"]) == ("git", "workshop/alice")
    assert grant["paths"] == [f"https://{bench.shop.host}/**"]
    cloned = clone(bench, "box")
    assert cloned.code == 0, cloned.err
    assert set(bench.shop.tokens_seen("/git/")) == {bench.token()}
    users = {user for path, user, token in bench.shop.seen if path.startswith("/git/") and token}
    assert users == {"alice"}
    # git holds the key alone, and its repository names the real address.
    assert bench.files_with(bench.token()) == []
    origin = bench.run("git", "remote", "get-url", "origin", cwd=bench.home / "box")
    assert (
        bench.run("git", "config", "remote.origin.url", cwd=bench.home / "box")
        .out.strip()
        .startswith(bench.shop.base)
    )
    assert origin.out.startswith(gateway)
    key = key_of(bench, "git")
    assert get(f"{gateway}/workshop/alice/api/user", key).status_code == 403, "the API is not granted"
    unwired(bench, "git", {config: old})
    assert clone(bench, "after").code != 0


def test_git_that_may_only_read_one_repository(bench: Bench, gateway: str) -> None:
    words = ("git", "workshop", "--host", bench.shop.host, "--path", "/git/box.git/**", "--until", "9d")
    done = bench.keyfob("wire", *words, "--through-gateway", "--gateway", gateway, "--yes")
    assert done.code == 0, done.err
    (grant,) = grants(bench)
    assert grant["paths"] == [f"https://{bench.shop.host}/git/box.git/**"]
    assert grant["until"] is not None
    assert clone(bench, "one").code == 0
    other = bench.run("git", "ls-remote", f"{bench.shop.base}/git/other.git")
    assert other.code != 0
    assert not any("other.git" in path for path, *_ in bench.shop.seen)


def test_an_insteadof_of_somebody_else_stays(bench: Bench, gateway: str) -> None:
    config = bench.home / ".gitconfig"
    config.write_text(old := f'[url "https://mirror.example/"]\n\tinsteadOf = {bench.shop.base}/\n')
    done = bench.keyfob("wire", "git", "workshop", "--through-gateway", "--gateway", gateway, "--yes")
    assert (done.code, done.out) == (8, "")
    assert "already has an insteadOf for" in done.err
    assert (config.read_text(), grants(bench)) == (old, [])
    config.unlink()


# --- pip and npm --------------------------------------------------------------------------------------------


def test_pip(bench: Bench, gateway: str) -> None:
    config = bench.home / ".config" / "pip" / "pip.conf"
    config.parent.mkdir(parents=True, exist_ok=True)
    config.write_text(old := "[global]\ntimeout = 20\n")
    done = wired(bench, gateway, "pip", "workshop", "--registry", f"{bench.shop.base}/simple/")
    assert done["changed"] == [str(bench.bin / "keyring"), str(config)]
    key = key_of(bench, "pip")
    assert bench.files_with(key) == [bench.keyfob_home / "state" / "gateway-keys" / "pip"]
    target = bench.home / "site"
    install = [
        str(python_tools.newest_pip()), "install", "-q", "--no-input", "--disable-pip-version-check",
        "--no-cache-dir", "--target", str(target), "keyfob-found",
    ]  # fmt: skip
    clean = {"PYTHONPATH": "", "PYTHONWARNINGS": "ignore", "PIP_CONFIG_FILE": str(config)}
    ran = bench.run(*install, **clean)
    assert ran.code == 0, ran.err
    assert "found" in (target / "keyfob_found.py").read_text()
    assert set(bench.shop.tokens_seen("/simple/")) == {bench.token()}
    # The key goes to no other address, whatever its username.
    for address in (f"{bench.shop.base}/simple/", "https://evil.example/simple/", gateway.replace("2", "3")):
        asked = bench.run("keyring", "get", address, "keyfob")
        assert (asked.code, asked.out) == (1, ""), address
    assert bench.run("keyring", "get", f"{gateway}/x", "keyfob").out.strip() == key
    unwired(bench, "pip", {config: old, bench.bin / "keyring": None})
    assert bench.run(*install, "--upgrade", **clean).code != 0


def test_npm(bench: Bench, gateway: str) -> None:
    config = bench.home / ".npmrc"
    config.write_text("fund=false\n")
    config.chmod(0o644)
    words = ("wire", "npm", "workshop", "--registry", f"{bench.shop.base}/npm/", "--through-gateway")
    refused = bench.keyfob(*words, "--gateway", gateway, "--yes")
    assert refused.code == 8
    assert f"Other users can read {config}" in refused.err
    assert f"chmod 600 {config}" in refused.err
    assert grants(bench) == []
    config.chmod(0o600)
    shown = bench.keyfob(*words, "--gateway", gateway)
    assert (shown.code, "_authToken=…" in shown.err) == (2, True)
    assert wired(bench, gateway, *words[1:5])["changed"] == [str(config)]
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    project = bench.home / "project"
    project.mkdir()
    (project / "package.json").write_text('{"name": "p", "version": "1.0.0"}')
    path = f"{node().parent}{os.pathsep}{bench.env['PATH']}"
    install = [*npm(), "install", "--no-audit", "--loglevel=error", "keyfob-found"]
    ran = bench.run(*install, cwd=project, PATH=path)
    assert ran.code == 0, ran.err
    assert (project / "node_modules" / "keyfob-found" / "index.js").exists()
    files = [where for where, _, token in bench.shop.seen if where.endswith(".tgz") and token]
    assert files, "the package's file came through the gateway, too"
    assert set(bench.shop.tokens_seen("/npm/")) == {bench.token()}
    assert bench.files_with(bench.token()) == []
    unwired(bench, "npm", {config: "fund=false\n"})


def test_npm_of_one_scope(bench: Bench, gateway: str) -> None:
    words = ("--registry", f"{bench.shop.base}/npm/", "--scope", "@acme")
    wired(bench, gateway, "npm", "workshop", *words)
    config = bench.home / ".npmrc"
    assert config.read_text().splitlines()[1] == (
        f"@acme:registry={gateway}/workshop@{bench.shop.host}/alice/npm/"
    )
    assert stat.S_IMODE(config.stat().st_mode) == 0o600
    unwired(bench, "npm", {config: None})


# --- SDKs and coding agents ---------------------------------------------------------------------------------


def test_variables_for_any_program(bench: Bench, gateway: str) -> None:
    done = bench.keyfob("wire", "env", "workshop", "--through-gateway", "--gateway", gateway, "--yes")
    assert done.code == 0, done.err
    found = dict(line.split("=", 1) for line in done.out.splitlines())
    assert found["WORKSHOP_BASE_URL"] == f"{gateway}/workshop/alice"
    key = found["WORKSHOP_API_KEY"]
    assert get(f"{gateway}/workshop/alice/api/user", key).status_code == 200
    again = bench.keyfob("wire", "env", "workshop", "--through-gateway", "--gateway", gateway, "--yes")
    assert again.out == done.out
    assert bench.keyfob("unwire", "env", "--yes").code == 0
    assert get(f"{gateway}/workshop/alice/api/user", key).status_code in (401, 403)


@pytest.mark.parametrize(("tool", "end"), [("openai", "/v1"), ("anthropic", "")])
def test_variables_in_a_file(bench: Bench, gateway: str, tool: str, end: str) -> None:
    file = bench.home / ".env"
    file.write_text("LOG=1\n")
    file.chmod(0o600)
    done = wired(bench, gateway, tool, "workshop", "--file", ".env")
    assert done["gateway"]["variables"] == {}
    lines = dict(line.split("=", 1) for line in file.read_text().splitlines() if not line.startswith("#"))
    name = tool.upper()
    assert lines == {
        "LOG": "1", f"{name}_BASE_URL": gateway + end, f"{name}_API_KEY": key_of(bench, tool),
    }  # fmt: skip
    assert "keyfob models add MODEL workshop/alice" in done["notes"][0]
    unwired(bench, tool, {file: "LOG=1\n"})


def test_codex(bench: Bench, gateway: str) -> None:
    config = bench.home / ".codex" / "config.toml"
    config.parent.mkdir(exist_ok=True)
    config.write_text(old := 'model = "m"\n\n[model_providers.other]\nbase_url = "https://other.example"\n')
    wired(bench, gateway, "codex", "workshop")
    found = tomllib.loads(config.read_text())
    made = found["model_providers"]["keyfob"]
    assert (found["model"], found["model_provider"]) == ("m", "keyfob")
    assert (made["base_url"], made["wire_api"]) == (f"{gateway}/v1", "responses")
    said = bench.run(made["auth"]["command"], *made["auth"]["args"])
    assert said.out.strip() == key_of(bench, "codex")
    config.write_text(config.read_text() + "[tui]\nnotifications = true\n")
    assert bench.keyfob("unwire", "codex", "--yes").code == 0
    assert config.read_text() == old + "[tui]\nnotifications = true\n"
    # Another choice of the user's stays.
    config.write_text(own := 'model_provider = "other"\n')
    done = wired(bench, gateway, "codex", "workshop", "--model-provider", "kf")
    assert tomllib.loads(config.read_text())["model_provider"] == "other"
    assert "codex -c model_provider=kf" in done["notes"][-1]
    unwired(bench, "codex", {config: own})


def test_claude(bench: Bench, gateway: str) -> None:
    settings = bench.home / ".claude" / "settings.json"
    settings.parent.mkdir(exist_ok=True)
    settings.write_text(old := '{\n  "model": "m",\n  "env": {\n    "A": "1"\n  }\n}\n')
    wired(bench, gateway, "claude", "workshop")
    found = json.loads(settings.read_text())
    assert found["env"] == {"A": "1", "ANTHROPIC_BASE_URL": gateway}
    said = bench.run("sh", "-c", found["apiKeyHelper"])
    assert said.out.strip() == key_of(bench, "claude")
    settings.write_text(settings.read_text().replace('"m"', '"n"'))
    assert bench.keyfob("unwire", "claude", "--yes").code == 0
    assert settings.read_text() == old.replace('"m"', '"n"')


# --- the whole ----------------------------------------------------------------------------------------------


def test_the_list_says_how_a_tool_is_set_up_and_when_its_access_has_ended(bench: Bench, gateway: str) -> None:
    def row() -> dict[str, Any]:
        rows = bench.keyfob("wire", "--list", "--json").json["tools"]
        found: dict[str, Any] = next(each for each in rows if each["tool"] == "git")
        return found

    assert "gateway" not in row()
    wired(bench, gateway, "git", "workshop", "--host", bench.shop.host)
    assert (row()["state"], row()["gateway"], row()["access"]) == ("wired", gateway, "active")
    assert f"(through {gateway})" in bench.keyfob("wire", "--list").out
    (grant,) = grants(bench)
    assert bench.keyfob("grants", "revoke", grant["grant_id"]).code == 0
    assert row()["access"] == "ended"
    assert "access ended" in bench.keyfob("wire", "--list").out
    # Again makes a new grant for the same key.
    key = key_of(bench, "git")
    words = ("wire", "git", "workshop", "--host", bench.shop.host, "--through-gateway", "--gateway", gateway)
    assert bench.keyfob(*words, "--yes").code == 0
    assert (row()["access"], key_of(bench, "git")) == ("active", key)
    # A revoked key is replaced.
    (grant,) = grants(bench)
    assert bench.keyfob("keys", "revoke", grant["for"].removeprefix("key:")).code == 0
    assert row()["access"] == "ended"
    assert bench.keyfob(*words, "--yes").code == 0
    assert key_of(bench, "git") != key
    assert clone(bench, "again").code == 0


def test_a_tool_is_set_up_in_one_way_at_a_time(bench: Bench, gateway: str) -> None:
    assert bench.keyfob("wire", "git", "workshop", "--yes").code == 0
    other = bench.keyfob("wire", "git", "workshop", "--through-gateway", "--gateway", gateway, "--yes")
    assert other.code == 8
    assert "keyfob unwire git" in other.err
    assert bench.keyfob("unwire", "git", "--yes").code == 0
    wired(bench, gateway, "git", "workshop", "--host", bench.shop.host)
    assert bench.keyfob("wire", "git", "workshop", "--yes").code == 8
    kubectl = bench.keyfob("wire", "kubectl", "workshop", "--through-gateway", "--yes")
    assert (kubectl.code, "These can: git" in kubectl.err) == (2, True)
    lonely = bench.keyfob("wire", "git", "workshop", "--method", "read")
    assert (lonely.code, "--through-gateway" in lonely.err) == (2, True)


def test_what_fails_leaves_nothing(bench: Bench, gateway: str) -> None:
    """A file that cannot be written: no grant, no key and no file of ours stays."""
    folder = bench.home / ".codex"
    folder.mkdir(exist_ok=True)
    (folder / "config.toml").unlink(missing_ok=True)
    (folder / "config.toml").mkdir()
    done = bench.keyfob("wire", "codex", "workshop", "--through-gateway", "--gateway", gateway, "--yes")
    assert done.code == 8, done.err
    (folder / "config.toml").rmdir()
    keys = bench.keyfob_home / "state" / "gateway-keys"
    assert (grants(bench), list(keys.glob("*")) if keys.exists() else []) == ([], [])
    assert "not wired" in bench.keyfob("unwire", "codex", "--yes").out


def test_a_gateway_that_does_not_run_is_named(bench: Bench) -> None:
    words = ("wire", "env", "workshop", "--through-gateway", "--gateway", "http://127.0.0.1:9", "--yes")
    done = bench.keyfob(*words)
    assert done.code == 0
    assert "The gateway does not run at http://127.0.0.1:9. To start it, run: keyfob serve" in done.err
    for wrong in ("http://gateway.example.org", "ftp://127.0.0.1", "https://a@b.example", "nonsense"):
        assert bench.keyfob(*words[:4], "--gateway", wrong, "--yes").code == 2, wrong
    elsewhere = bench.keyfob(*words[:4], "--gateway", "https://gateway.example.org", "--yes")
    assert (elsewhere.code, elsewhere.out) == (8, "")
    assert "keyfob grants create --server" in elsewhere.err


def test_removing_everything_ends_what_was_wired(session: DesktopSession, tmp_path: Path) -> None:
    with bench_at(tmp_path, session.env) as bench:
        bench.connect()
        config = bench.home / ".npmrc"
        config.write_text(old := "fund=false\n")
        config.chmod(0o600)
        words = ("--registry", f"{bench.shop.base}/npm/", "--through-gateway", "--yes")
        assert bench.keyfob("wire", "npm", "workshop", *words).code == 0
        assert bench.keyfob("wire", "env", "workshop", "--through-gateway", "--yes").code == 0
        key = key_of(bench, "npm")
        assert bench.files_with(key)
        removed = bench.keyfob("remove", "--everything", "--yes")
        assert removed.code == 0, removed.err
        assert config.read_text() == old
        assert bench.files_with(key) == []
