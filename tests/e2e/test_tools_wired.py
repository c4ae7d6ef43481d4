"""Each tool wired by `keyfob wire` and used for real: Docker, kubectl, AWS's botocore, pip, npm, Go, curl,
HTTPie. Cargo and Codex are too large to install for a test; what they run and read is tested instead.

pip, botocore, HTTPie and Go are installed by the set-up (`support/python_tools.py`).
"""

from __future__ import annotations

import json
import os
import re
import shutil
import sys
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import jwt
import pytest

from support import python_tools
from support.node import node, npm
from support.registry import Registry
from support.session import DesktopSession
from support.workshop import ROOT, Bench, bench_at, program

pytestmark = [pytest.mark.network, pytest.mark.keychain]


@pytest.fixture
def safe(session: DesktopSession, tmp_path: Path) -> Iterator[Bench]:
    """The same over https, for tools that send a token no other way."""
    with bench_at(tmp_path, session.env, tls=True) as made:
        yield made


def wired(bench: Bench, *words: str) -> list[Path]:
    """Wires, checks that a second time changes nothing, and returns what was changed."""
    done = bench.keyfob("wire", *words, "--yes", "--json")
    changed = [Path(name) for name in done.json["changed"]]
    again = bench.keyfob("wire", *words, "--yes", "--json")
    assert again.json["changed"] == []
    for path in changed:
        assert not bench.files_with(bench.token()), path
    return changed


def unwired(bench: Bench, tool: str, before: dict[Path, str | None]) -> None:
    """Undoes, and checks that each file is as it was."""
    assert bench.keyfob("unwire", tool, "--yes").code == 0
    for path, text in before.items():
        assert (path.read_text() if path.exists() else None) == text
        assert not path.with_name(path.name + ".before-keyfob").exists()
    assert "not wired" in bench.keyfob("unwire", tool, "--yes").out


def test_git(bench: Bench) -> None:
    bench.connect()
    bench.shop.repository()
    config = bench.home / ".gitconfig"
    old = "[credential]\n\thelper = store\n[user]\n\tname = A"
    config.write_text(old)
    shown = bench.keyfob("wire", "git", "workshop")
    assert (shown.code, shown.out) == (2, "")
    assert '+\thelper = "keyfob"' in shown.err
    assert config.read_text() == old
    assert wired(bench, "git", "workshop") == [config]
    cloned = bench.run("git", "clone", "-q", f"{bench.shop.base}/git/box.git")
    assert cloned.code == 0, cloned.err
    # The helper that stores what works would have written the token to its own file.
    assert bench.files_with(bench.token()) == []
    assert not (bench.home / ".git-credentials").exists()
    unwired(bench, "git", {config: old})


@pytest.mark.parametrize("name", [".gitconfig", ".config/git/config"])
def test_somebody_elses_git_helper_for_the_host_is_named_and_stays(bench: Bench, name: str) -> None:
    bench.connect()
    config, url = bench.home / name, bench.shop.base
    config.parent.mkdir(parents=True, exist_ok=True)
    (bench.home / ".gitconfig").write_text("[user]\n\tname = A\n")
    config.write_text(old := f'[credential "{url}"]\n\thelper =\n\thelper = !gh auth git-credential\n')
    refused = bench.keyfob("wire", "git", "workshop", "--yes")
    assert (refused.code, refused.out) == (8, "")
    assert f"{config} already has another credential helper for {url}: !gh auth git-credential" in refused.err
    assert config.read_text() == old
    # The command of the message, as it stands there.
    command = "git config" + refused.last.rpartition("git config")[2].removesuffix(".")
    assert bench.run("sh", "-c", command).code == 0
    assert wired(bench, "git", "workshop")
    # One for another host is nobody's business.
    other = '[credential "https://elsewhere.example"]\n\thelper = store\n'
    config.write_text(other + config.read_text())
    assert bench.keyfob("wire", "git", "workshop", "--yes").code == 0


def test_only_our_part_goes_where_the_file_was_changed_since(bench: Bench) -> None:
    bench.connect()
    config = bench.home / ".gitconfig"
    config.write_text("[user]\n\tname = A\n")
    wired(bench, "git", "workshop")
    config.write_text(config.read_text() + "[core]\n\teditor = ed\n")
    assert bench.keyfob("unwire", "git", "--yes").code == 0
    assert config.read_text() == "[user]\n\tname = A\n[core]\n\teditor = ed\n"
    assert not config.with_name(".gitconfig.before-keyfob").exists()


def test_a_host_that_the_preset_got_later_is_named_and_gets_no_token(bench: Bench) -> None:
    bench.connect()
    bench.preset(hosts=("git.example.org",))
    config = bench.home / ".docker" / "config.json"
    refused = bench.keyfob("wire", "docker", "workshop", "--host", "git.example.org", "--yes")
    assert (refused.code, refused.out) == (2, "")
    assert refused.err == (
        "keyfob: git.example.org was added to Workshop's preset after workshop/alice signed in. "
        "To let Keyfob send the token there, run: keyfob reconnect workshop/alice\n"
    )
    assert not config.exists()
    status = bench.keyfob("status", "workshop").out
    assert (
        "changed since the sign-in: host git.example.org. To use what is new, run: keyfob reconnect" in status
    )
    doctor = bench.keyfob("doctor").out
    assert "the preset has changed since alice signed in" in doctor
    assert "keyfob reconnect workshop/alice" in doctor

    bench.sign_in("reconnect", "workshop")
    assert "Preset" not in bench.keyfob("status", "workshop").out
    assert wired(bench, "docker", "workshop", "--host", "git.example.org") == [config]
    assert bench.keyfob("wire", "docker", "workshop", "--host", "other.example").err.startswith(
        "keyfob: other.example is not a host of workshop/alice ("
    )


def test_a_link_stays_a_link_and_modes_stay(bench: Bench) -> None:
    bench.connect()
    real = bench.home / "dotfiles"
    real.write_text("[user]\n\tname = A\n")
    real.chmod(0o644)
    (bench.home / ".gitconfig").symlink_to(real)
    assert wired(bench, "git", "workshop")
    assert (bench.home / ".gitconfig").is_symlink()
    assert "helper" in real.read_text()
    assert real.stat().st_mode & 0o777 == 0o644
    assert bench.keyfob("unwire", "git", "--yes").code == 0
    assert real.read_text() == "[user]\n\tname = A\n"


def test_the_list_says_what_is_set_up_and_what_was_changed_since(bench: Bench) -> None:
    def states() -> dict[str, str]:
        rows = bench.keyfob("wire", "--list", "--json").json["tools"]
        return {row["tool"]: row["state"] for row in rows if row["state"] != "not_wired"}

    bench.connect()
    assert states() == {}
    config, settings = bench.home / ".gitconfig", bench.home / ".claude" / "settings.json"
    config.write_text("[user]\n\tname = A\n")
    wired(bench, "git", "workshop")
    wired(bench, "claude", "workshop")
    assert states() == {"git": "wired", "claude": "wired"}
    config.write_text(config.read_text() + "[core]\n\teditor = ed\n")
    assert states()["git"] == "wired"
    settings.write_text("{}")
    assert states() == {"git": "wired", "claude": "changed"}
    assert re.search("^git +set up +clone", bench.keyfob("wire", "--list").out, re.MULTILINE)
    asked = bench.keyfob("unwire", "--all")
    assert (asked.code, asked.out) == (2, "")
    assert states() == {"git": "wired", "claude": "changed"}
    done = bench.keyfob("unwire", "--all", "--yes")
    assert (done.code, done.out.splitlines()[-1]) == (0, "Undone for git, claude")
    assert states() == {}
    assert (config.read_text(), settings.read_text()) == ("[user]\n\tname = A\n[core]\n\teditor = ed\n", "{}")
    assert bench.keyfob("unwire", "--all", "--yes").out == "Nothing to do: no tool is wired\n"
    assert bench.keyfob("unwire").code == bench.keyfob("wire").code == 2


# --- Docker -------------------------------------------------------------------------------------------------


def test_docker_helper_by_protocol(bench: Bench) -> None:
    bench.connect()
    got = bench.run("docker-credential-keyfob", "get", stdin=f"http://{bench.shop.host}\n").json
    assert got == {"ServerURL": f"http://{bench.shop.host}", "Username": "alice", "Secret": bench.token()}
    for address in (
        "https://index.docker.io/v1/",
        "http://git.example.org",
        "",
        f"{bench.shop.host}.example.org",
    ):
        none = bench.run("docker-credential-keyfob", "get", stdin=address)
        assert (none.code, none.out) == (1, "credentials not found in native keychain\n"), address
    assert bench.run("docker-credential-keyfob", "list").json == {}, "Docker does not ask Keyfob about it"
    for action, reason in (("store", "does not save passwords"), ("erase", "keyfob disconnect ACCOUNT")):
        refused = bench.run("docker-credential-keyfob", action, stdin='{"Secret": "canary"}')
        assert refused.code == 1
        assert reason in refused.out
        assert "canary" not in refused.out + refused.err
    assert bench.run("docker-credential-keyfob", "nonsense").code == 2
    assert bench.run("docker-credential-keyfob", "version").out.startswith("docker-credential-keyfob ")
    assert bench.keyfob("status", "workshop", "--json").json["status"] == "connected"


def test_docker(safe: Bench) -> None:
    docker = program("docker", "docker.io")
    safe.connect()
    config = safe.home / ".docker" / "config.json"
    config.parent.mkdir()
    old = '{\n\t"auths": {\n\t\t"other.example": {\n\t\t\t"auth": "YTpjYW5hcnk="\n\t\t}\n\t}\n}'
    config.write_text(old)
    shown = safe.keyfob("wire", "docker", "workshop")
    assert "YTpjYW5hcnk=" not in shown.err
    assert "keyfob" in shown.err
    assert wired(safe, "docker", "workshop") == [config]
    assert json.loads(config.read_text())["credHelpers"][safe.shop.host] == "keyfob"
    assert safe.run("docker-credential-keyfob", "list").json[f"https://{safe.shop.host}"] == "alice"
    # Asks the registry itself, without a daemon.
    looked = safe.run(docker, "manifest", "inspect", "--insecure", f"{safe.shop.host}/box:1")
    assert looked.code == 0, looked.err
    assert json.loads(looked.out)["schemaVersion"] == 2
    assert safe.token() in safe.shop.tokens_seen("/v2/")
    unwired(safe, "docker", {config: old})


def test_an_image_is_pulled_from_a_real_registry_once_the_account_may(bench: Bench) -> None:
    """Its tokens want the scope email. Keyfob says what is lacking, and the command that asks for it."""
    docker = program("docker", "docker.io")

    def may(token: str) -> bool:
        return "email" in (bench.shop.user(token) or {})

    with Registry(bench.home.parent, program("docker-registry", "docker-registry"), may) as registry:
        registry.push()
        bench.preset("gitea", hosts=(registry.host,))
        path = bench.keyfob_home / "config" / "providers" / "gitea.toml"
        narrow = path.read_text().replace('"profile", "email", ', '"profile", ')
        more = '\n[[access]]\nid = "packages"\ntitle = "Read packages"\nscopes = ["email"]\n'
        path.write_text(narrow + more)
        bench.sign_in("connect", "gitea", "--method", "oauth")
        ask = "keyfob reconnect gitea/alice --access packages"
        wiring = bench.keyfob("wire", "docker", "gitea", "--host", registry.host, "--yes")
        assert wiring.code == 0, wiring.err
        assert "gitea/alice does not have the access that docker needs (packages)" in wiring.err
        assert f"To ask for it, run: {ask}" in wiring.err
        look = (docker, "manifest", "inspect", "--insecure", f"{registry.host}/box:1")
        refused = bench.run(*look)
        assert refused.code != 0
        bench.sign_in(*ask.split()[1:])
        found = bench.run(*look)
        assert found.code == 0, found.err
        assert json.loads(found.out)["schemaVersion"] == 2


# --- kubectl ------------------------------------------------------------------------------------------------

KUBECONFIG = """\
apiVersion: v1
clusters:
- cluster:
    certificate-authority: {authority}
    server: {server}
  name: work
contexts:
- context:
    cluster: work
    user: nobody
  name: work
current-context: work
kind: Config
preferences: {{}}
users: []
"""


def test_kubectl(safe: Bench) -> None:
    kubectl = program("kubectl", "kubernetes-client")
    safe.connect()
    config = safe.home / ".kube" / "config"
    config.parent.mkdir()
    assert safe.shop.authority is not None
    old = KUBECONFIG.format(server=safe.shop.base, authority=safe.shop.authority.bundle)
    config.write_text(old)
    assert wired(safe, "kubectl", "workshop", "--user", "me", "--context", "work") == [config]
    asked = safe.run(
        "keyfob", "credential", "kubectl", "workshop",
        KUBERNETES_EXEC_INFO='{"apiVersion": "client.authentication.k8s.io/v1beta1", "spec": {}}',
    )  # fmt: skip
    assert asked.json["apiVersion"] == "client.authentication.k8s.io/v1beta1"
    assert asked.json["status"]["token"] == safe.token()
    assert asked.json["status"]["expirationTimestamp"].endswith("Z")
    done = safe.run(kubectl, "version", "-o", "json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["serverVersion"]["gitVersion"] == "v1.32.0-workshop"
    assert set(safe.shop.tokens_seen("/version")) == {safe.token()}
    unwired(safe, "kubectl", {config: old})


def test_kubectl_of_a_cluster_that_takes_id_tokens(safe: Bench) -> None:
    """The token is checked as an API server does: signature, issuer, audience and time."""
    kubectl = program("kubectl", "kubernetes-client")
    safe.connect()
    config = safe.home / ".kube" / "config"
    config.parent.mkdir()
    assert safe.shop.authority is not None
    old = KUBECONFIG.format(server=safe.shop.base, authority=safe.shop.authority.bundle)
    config.write_text(old)
    safe.shop.refused.add(safe.token())
    access = ("kubectl", "workshop", "--user", "me", "--context", "work")
    assert wired(safe, *access) == [config]
    assert safe.run(kubectl, "version").code != 0
    assert wired(safe, *access, "--id-token") == [config]
    id_token = safe.keyfob("token", "workshop", "--id-token").out.strip()
    safe.shop.keys.add(id_token)
    done = safe.run(kubectl, "version", "-o", "json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["serverVersion"]["gitVersion"] == "v1.32.0-workshop"
    used = safe.shop.tokens_seen("/version")[-1]
    keys = jwt.PyJWKSet.from_dict(httpx.get(f"{safe.provider.issuer}/jwks", trust_env=False).json())
    key = keys[jwt.get_unverified_header(used)["kid"]]
    claims = jwt.decode(
        used, key, algorithms=[key.algorithm_name], audience="keyfob-demo", issuer=safe.provider.issuer
    )
    assert claims["preferred_username"] == "alice"
    unwired(safe, "kubectl", {config: old})


def test_an_old_kubectl_gets_the_version_that_it_knows(bench: Bench) -> None:
    bench.connect()
    old = bench.bin / "kubectl"
    old.write_text('#!/bin/sh\necho \'{"clientVersion": {"major": "1", "minor": "20+"}}\'\n')
    old.chmod(0o755)
    (config,) = wired(bench, "kubectl", "workshop", "--user", "me")
    assert "client.authentication.k8s.io/v1beta1" in config.read_text()


def test_kubectl_with_a_file_changed_since(bench: Bench) -> None:
    kubectl = program("kubectl", "kubernetes-client")
    bench.connect()
    config = bench.home / ".kube" / "config"
    wired(bench, "kubectl", "workshop", "--user", "me")
    assert bench.run(kubectl, "config", "set-cluster", "new", "--server=https://k.example.org").code == 0
    assert bench.keyfob("unwire", "kubectl", "--yes").code == 0
    text = config.read_text()
    assert "k.example.org" in text
    assert "keyfob" not in text


@pytest.mark.parametrize(
    "info", ["{", "[]", '{"apiVersion": "client.authentication.k8s.io/v9"}', '{"apiVersion": 1}']
)
def test_kubectl_of_an_unknown_version(bench: Bench, info: str) -> None:
    bench.connect()
    done = bench.keyfob("credential", "kubectl", "workshop", KUBERNETES_EXEC_INFO=info)
    assert (done.code, done.out) == (2, "")


# --- AWS ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tools() -> Path:
    """Where botocore and HTTPie are: programs that are wired."""
    return python_tools.clients()


BOTO = (
    "import botocore.session, json; c = botocore.session.Session(profile='store').get_credentials();"
    "f = c.get_frozen_credentials(); print(json.dumps([f.access_key, f.secret_key, f.token]))"
)


@pytest.mark.parametrize(
    ("key", "told"),
    [
        (
            "AKIAEXAMPLEEXAMPLE00:abcd/efgh+ijklmnopqrst",
            ["AKIAEXAMPLEEXAMPLE00", "abcd/efgh+ijklmnopqrst", None],
        ),
        ('{"AccessKeyId": "AK", "SecretAccessKey": "SK", "SessionToken": "ST"}', ["AK", "SK", "ST"]),
    ],
)
def test_aws(bench: Bench, tools: Path, key: str, told: list[str | None]) -> None:
    bench.connect_key(key)
    config = bench.home / ".aws" / "config"
    assert wired(bench, "aws", "workshop", "--profile", "store") == [config]
    done = bench.run(str(tools / "python"), "-c", BOTO, PYTHONPATH="", PYTHONWARNINGS="ignore")
    assert done.code == 0, done.err
    assert json.loads(done.out) == told
    unwired(bench, "aws", {config: None})


def test_aws_by_the_preset_that_the_page_shows(bench: Bench, tools: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "tools.md").read_text("utf-8")
    folder = bench.keyfob_home / "config" / "providers"
    folder.mkdir(parents=True)
    (folder / "minio.toml").write_text(page.partition("```toml\n")[2].partition("```")[0])
    key = "AKIAEXAMPLEEXAMPLE01:abcd/efgh+ijklmnopqrst"
    connect = ("connect", "minio", "--label", "me", "--api-key-stdin")
    done = bench.keyfob(*connect, stdin=key + "\n")
    assert done.code == 0, done.err
    assert bench.keyfob("wire", "aws", "minio", "--profile", "store", "--yes").code == 0
    told = bench.run(str(tools / "python"), "-c", BOTO, PYTHONPATH="", PYTHONWARNINGS="ignore")
    assert json.loads(told.out) == [*key.split(":"), None]
    tested = bench.keyfob("test", "minio")
    assert (tested.code, tested.out) == (2, "")
    assert "MinIO does not say whether a token works. Use it with one of your tools" in tested.err


def test_aws_of_another_kind_of_account(bench: Bench) -> None:
    bench.connect()
    done = bench.keyfob("credential", "aws", "workshop")
    assert (done.code, done.out) == (8, "")
    assert "is not an AWS key pair" in done.err
    assert bench.token() not in done.err


# --- pip and npm --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("user", ["alice@", ""])
@pytest.mark.parametrize("pip", [python_tools.oldest_pip, python_tools.newest_pip])
def test_pip(bench: Bench, pip: Callable[[], Path], user: str) -> None:
    if pip is python_tools.oldest_pip and not user:
        user = "__token__@"  # it asks only with a user name, and this one names nobody
    bench.connect()
    config = bench.home / ".config" / "pip" / "pip.conf"
    config.parent.mkdir(parents=True)
    old = "[global]\ntimeout = 20\n"
    config.write_text(old)
    assert wired(bench, "pip") == [bench.bin / "keyring", config]
    venv = bench.home / "venv"
    index = f"http://{user}{bench.shop.host}/simple/"
    install = [
        str(pip()), "install", "-q", "--no-input", "--disable-pip-version-check", "--no-cache-dir",
        "--target", str(venv), "--index-url", index, "keyfob-found",
    ]  # fmt: skip
    clean = {"PYTHONPATH": "", "PYTHONWARNINGS": "ignore", "PIP_CONFIG_FILE": str(config)}
    done = bench.run(*install, **clean)
    assert done.code == 0, done.err
    assert "found" in (venv / "keyfob_found.py").read_text()
    token = bench.token()
    assert set(bench.shop.tokens_seen("/simple/")) == {token}
    assert bench.files_with(token) == []
    for words, code in (
        (("get", f"{bench.shop.base}/simple/", "alice"), 0),
        (("get", bench.shop.host, "alice"), 1),  # whether that is for https cannot be told
        (("get", "https://example.org/simple/", "alice"), 1),
        (("set", "https://example.org", "alice"), 2),
        (("--list-backends",), 2),
    ):
        assert bench.run("keyring", *words).code == code, words
    unwired(bench, "pip", {config: old, bench.bin / "keyring": None})
    # Without the wiring the same command is refused: the token came from Keyfob alone.
    assert bench.run(*install, "--upgrade", **clean).code != 0


def test_pip_beside_the_keyring_command_of_the_library(bench: Bench) -> None:
    """As in a virtual environment: `pip install` of Keyfob also installs keyring's command."""
    bench.connect()
    script = bench.bin / "keyring"
    shutil.copy2(Path(sys.executable).with_name("keyring"), script)
    (bench.bin / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (bench.bin / "python").chmod(0o755)
    old, mode = script.read_bytes(), script.stat().st_mode
    config = bench.home / ".config" / "pip" / "pip.conf"
    assert wired(bench, "pip") == [script, config]
    done = bench.run(
        str(python_tools.newest_pip()), "install", "-q", "--no-input", "--disable-pip-version-check",
        "--no-cache-dir", "--target", str(bench.home / "venv"),
        "--index-url", f"http://alice@{bench.shop.host}/simple/", "keyfob-found",
        PYTHONPATH="", PYTHONWARNINGS="ignore",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert set(bench.shop.tokens_seen("/simple/")) == {bench.token()}
    listed = bench.run("keyring", "--list-backends", PYTHONWARNINGS="ignore")
    assert (listed.code, "keyring.backends" in listed.out) == (0, True)
    assert bench.keyfob("unwire", "pip", "--yes").code == 0
    assert (script.read_bytes(), script.stat().st_mode, config.exists()) == (old, mode, False)


def test_pip_in_a_folder_that_comes_before_another_keyring(bench: Bench) -> None:
    bench.connect()
    first, other = bench.home / "first", bench.home / "other"
    for each in (first, other):
        each.mkdir()
    (other / "keyring").write_text("#!/bin/sh\nexit 1\n")
    (other / "keyring").chmod(0o755)
    words = ("wire", "pip", "--shim-dir", str(first), "--yes")
    path = os.pathsep.join([str(other), str(first), bench.env["PATH"]])
    assert bench.keyfob(*words, PATH=path).code == 8
    path = os.pathsep.join([str(first), str(other), bench.env["PATH"]])
    assert bench.keyfob(*words, PATH=path).code == 0
    found = bench.run("keyring", "get", f"{bench.shop.base}/simple/", "alice", PATH=path)
    assert found.out.strip() == bench.token()


def test_pip_with_another_keyring_on_the_path(bench: Bench) -> None:
    bench.connect()
    other = bench.home / "other"
    other.mkdir()
    (other / "keyring").write_text("#!/bin/sh\nexit 1\n")
    (other / "keyring").chmod(0o755)
    path = f"{other}{os.pathsep}{bench.env['PATH']}"
    refused = bench.keyfob("wire", "pip", "--yes", PATH=path)
    assert (refused.code, refused.out) == (8, "")
    assert str(other / "keyring") in refused.err


def test_npm(bench: Bench) -> None:
    bench.connect()
    registry = f"{bench.shop.base}/npm/"
    config = bench.home / ".npmrc"
    old = "fund=false\n"
    config.write_text(old)
    other = bench.keyfob("wire", "npm", "workshop", "--registry", "https://npm.example.org/", "--yes")
    assert other.code == 8
    assert wired(bench, "npm", "workshop", "--registry", registry) == [config]
    assert f"//{bench.shop.host}/npm/:_authToken=${{WORKSHOP_TOKEN}}" in config.read_text()
    project = bench.home / "project"
    project.mkdir()
    (project / "package.json").write_text('{"name": "p", "version": "1.0.0"}')
    path = f"{node().parent}{os.pathsep}{bench.env['PATH']}"
    install = [*npm(), "install", "--no-audit", "--loglevel=error", "--registry", registry, "keyfob-found"]
    without = bench.run(*install, cwd=project, PATH=path)
    assert without.code != 0
    done = bench.run("keyfob", "exec", "workshop", "--", *install, cwd=project, PATH=path)
    assert done.code == 0, done.err
    assert (project / "node_modules" / "keyfob-found" / "index.js").exists()
    assert bench.token() in bench.shop.tokens_seen("/npm/")
    shutil.rmtree(bench.home / ".npm", ignore_errors=True)
    assert bench.files_with(bench.token()) == []
    unwired(bench, "npm", {config: old})


def test_go(safe: Bench) -> None:
    safe.connect()
    config = safe.home / ".config" / "go" / "env"
    config.parent.mkdir(parents=True)
    old = "GONOSUMDB=*\n"
    config.write_text(old)
    assert wired(safe, "go", "workshop") == [config]
    authority = safe.shop.authority
    assert authority is not None
    go = {
        "GOPROXY": f"{safe.shop.base}/go",
        "GOPATH": str(safe.home / "gopath"),
        "GOCACHE": str(safe.home / "gocache"),
        "GOTOOLCHAIN": "local",
        "GOFLAGS": "-modcacherw",
        "SSL_CERT_FILE": str(authority.bundle),
        "PYTHONPATH": str(ROOT / "app"),
    }
    download = [str(python_tools.go()), "mod", "download", "-json", "shop.example/found@v1.0.0"]
    done = safe.run(*download, **go)
    assert done.code == 0, done.err + done.out
    assert json.loads(done.out)["Version"] == "v1.0.0"
    first = safe.token()
    assert set(safe.shop.tokens_seen("/go/")) == {first}
    # A token that the server refuses: Go asks again, and gets another.
    safe.shop.refused.add(first)
    shutil.rmtree(safe.home / "gopath")
    again = safe.run(*download, **go)
    assert again.code == 0, again.err + again.out
    assert safe.token() != first
    assert safe.files_with(safe.token()) == []
    assert safe.keyfob("credential", "go", "workshop", "https://evil.example/x").code == 8
    unwired(safe, "go", {config: old})
    config.write_text("GOAUTH=off\n")
    refused = safe.keyfob("wire", "go", "workshop", "--yes")
    assert (refused.code, config.read_text()) == (8, "GOAUTH=off\n")


def test_terraform(safe: Bench) -> None:
    """The helper's protocol as HashiCorp documents it; and if this computer has Terraform, a module registry
    that wants a token: Terraform does not belong to the packages that the set-up installs.
    """
    host = safe.shop.host
    safe.connect()
    config, helper = (
        safe.home / ".terraformrc",
        safe.home / ".terraform.d/plugins/terraform-credentials-keyfob",
    )
    config.write_text(old := "disable_checkpoint = true\n")
    assert wired(safe, "terraform") == [helper, config]
    assert 'credentials_helper "keyfob" {' in config.read_text()
    got = safe.run(str(helper), "get", host)
    assert (got.code, json.loads(got.out)) == (0, {"token": safe.token()})
    other = safe.run(str(helper), "get", "app.terraform.io")
    assert (other.code, other.out.strip()) == (0, "{}")
    for action in ("store", "forget"):
        refused = safe.run(str(helper), action, "app.terraform.io", stdin='{"token": "x"}')
        assert (refused.code, refused.out) == (2, "")
        assert "with Keyfob" in refused.err

    terraform = shutil.which("terraform")
    if terraform is not None:
        project = safe.home / "project"
        project.mkdir()
        (project / "main.tf").write_text(
            f'module "found" {{\n  source = "{host}/team/found/local"\n  version = "1.0.0"\n}}\n'
        )
        authority = safe.shop.authority
        assert authority is not None
        trust = {"SSL_CERT_FILE": str(authority.bundle)}
        done = safe.run(terraform, "init", "-no-color", "-input=false", cwd=project, **trust)
        assert done.code == 0, done.err + done.out
        assert set(safe.shop.tokens_seen("/tf/")) == {safe.token()}
        assert safe.files_with(safe.token()) == []
    unwired(safe, "terraform", {config: old, helper: None})
    config.write_text('credentials_helper "mine" {}\n')
    taken = safe.keyfob("wire", "terraform", "--yes")
    assert (taken.code, config.read_text()) == (8, 'credentials_helper "mine" {}\n')
    assert 'already has the credentials_helper "mine"' in taken.err


def test_cargo(safe: Bench) -> None:
    """What Cargo does with `cargo:token-from-stdout`: it runs the list with the index in its environment, and
    sends the output to the registry.
    """
    safe.connect()
    config = safe.home / ".cargo" / "config.toml"
    config.parent.mkdir()
    index = f"sparse+{safe.shop.base}/crates/index/"
    old = f'[net]\nretry = 1\n\n[registries.shop]\nindex = "{index}"\n'
    config.write_text(old)
    assert safe.keyfob("wire", "cargo", "workshop", "--yes").code == 2
    assert safe.keyfob("wire", "cargo", "workshop", "--registry", "other", "--yes").code == 8
    assert wired(safe, "cargo", "workshop", "--registry", "shop") == [config]
    registry = tomllib.loads(config.read_text())["registries"]["shop"]
    assert registry["index"] == index
    kind, *command = registry["credential-provider"]
    assert kind == "cargo:token-from-stdout"
    assert safe.run(*command, CARGO_REGISTRY_INDEX_URL=index).out.strip() == safe.token()
    with_scheme = safe.run(*command, "--scheme", "Bearer", CARGO_REGISTRY_INDEX_URL=index)
    assert with_scheme.out.strip() == f"Bearer {safe.token()}"
    foreign = safe.run(*command, CARGO_REGISTRY_INDEX_URL="sparse+https://evil.example/index/")
    assert (foreign.code, foreign.out) == (8, "")
    unwired(safe, "cargo", {config: old})
    config.write_text(old + 'credential-provider = ["mine"]\n')
    assert safe.keyfob("wire", "cargo", "workshop", "--registry", "shop", "--yes").code == 8
    config.write_text("[registries]\nshop = {index = " + json.dumps(index) + "}\n")
    assert safe.keyfob("wire", "cargo", "workshop", "--registry", "shop", "--yes").code == 8
    config.write_text("[registries\n")
    broken = safe.keyfob("wire", "cargo", "workshop", "--registry", "shop", "--yes")
    assert (broken.code, broken.err.count("\n")) == (8, 1)


def test_codex(safe: Bench) -> None:
    """What Codex does with the `auth` of a model provider: it runs the command and sends what it prints."""
    safe.connect()
    config = safe.home / ".codex" / "config.toml"
    config.parent.mkdir()
    old = f'[model_providers.shop]\nname = "Shop"\nbase_url = "{safe.shop.base}/v1"\n'
    config.write_text(old)
    words = ("codex", "workshop", "--model-provider", "shop")
    assert safe.keyfob("wire", "codex", "workshop", "--yes").code == 2
    assert wired(safe, *words) == [config]
    auth = tomllib.loads(config.read_text())["model_providers"]["shop"]["auth"]
    assert safe.run(auth["command"], *auth["args"]).out.strip() == safe.token()
    unwired(safe, "codex", {config: old})
    config.write_text(old.replace(safe.shop.base, "https://evil.example"))
    warned = safe.keyfob("wire", *words)
    assert (warned.code, "Warning: evil.example is not a host of workshop/alice" in warned.err) == (2, True)
    config.write_text(old + 'env_key = "SHOP_KEY"\n')
    refused = safe.keyfob("wire", *words, "--yes")
    assert (refused.code, "env_key" in config.read_text()) == (8, True)


def test_gh_by_the_function_that_is_shown(bench: Bench) -> None:
    program("gh", "gh")
    bench.connect()
    shown = bench.keyfob("wire", "gh", "workshop").out
    function = next(line.strip() for line in shown.splitlines() if line.strip().startswith("gh()"))
    done = bench.run(
        "bash", "-c", f"{function}\ngh auth token --hostname github.com", GH_CONFIG_DIR=str(bench.home)
    )
    assert (done.code, done.out.strip()) == (0, bench.token())


# --- what only has a line to type ---------------------------------------------------------------------------


def test_curl_and_httpie_by_the_lines_that_are_told(bench: Bench, tools: Path) -> None:
    bench.connect()
    told = bench.keyfob("wire", "curl", "workshop")
    line = next(line.strip() for line in told.out.splitlines() if "--header" in line)
    done = bench.run("bash", "-c", line.replace("https://…", f"-s {bench.shop.base}/api/user"))
    assert json.loads(done.out) == {"login": "robot"}
    told = bench.keyfob("wire", "httpie", "workshop")
    line = next(line.strip() for line in told.out.splitlines() if line.strip().startswith("http "))
    line = line.replace("http https://…", f"{tools}/http --ignore-stdin -b {bench.shop.base}/api/user")
    done = bench.run("bash", "-c", line)
    assert json.loads(done.out) == {"login": "robot"}, done.err
    assert set(bench.shop.tokens_seen("/api/user")) == {bench.token()}


def test_claude_and_mcp(bench: Bench) -> None:
    bench.connect()
    settings = bench.home / ".claude" / "settings.json"
    settings.parent.mkdir()
    old = '{\n  "model": "opus"\n}\n'
    settings.write_text(old)
    assert wired(bench, "claude", "workshop") == [settings]
    helper = json.loads(settings.read_text())["apiKeyHelper"]
    assert bench.run("sh", "-c", helper).out.strip() == bench.token()
    unwired(bench, "claude", {settings: old})

    servers = bench.home / ".mcp.json"
    old = (
        json.dumps({"mcpServers": {"shop": {"type": "http", "url": f"{bench.shop.base}/mcp"}}}, indent=4)
        + "\n"
    )
    servers.write_text(old)
    assert bench.keyfob("wire", "mcp", "workshop", "--server", "other", "--yes").code == 7
    assert wired(bench, "mcp", "workshop", "--server", "shop") == [servers]
    helper = json.loads(servers.read_text())["mcpServers"]["shop"]["headersHelper"]
    headers = json.loads(bench.run("sh", "-c", helper).out)
    assert headers == {"Authorization": f"Bearer {bench.token()}"}
    unwired(bench, "mcp", {servers: old})


def test_s64_a_foreign_server_is_warned_of_before_it_gets_a_token(bench: Bench) -> None:
    bench.connect()
    servers = bench.home / ".mcp.json"
    old = json.dumps({"mcpServers": {"shop": {"type": "http", "url": "https://evil.example/mcp"}}})
    servers.write_text(old)
    words = ("wire", "mcp", "workshop", "--server", "shop")
    asked = bench.keyfob(*words)
    assert asked.code == 2
    assert "Warning: evil.example is not a host of workshop/alice. It would get the token" in asked.err
    assert servers.read_text() == old
    assert "Warning: evil.example" in bench.keyfob(*words, "--yes").err
    assert "headersHelper" in servers.read_text()
    servers.write_text(old.replace("https://evil.example", "https://["))
    broken = bench.keyfob(*words, "--yes")
    assert (broken.code, broken.err.count("\n")) == (8, 1)


def test_somebody_elses_setting_is_not_replaced(bench: Bench) -> None:
    bench.connect()
    settings = bench.home / ".claude" / "settings.json"
    settings.parent.mkdir()
    settings.write_text('{"apiKeyHelper": "pass show claude"}')
    refused = bench.keyfob("wire", "claude", "workshop", "--yes")
    assert refused.code == 8
    assert settings.read_text() == '{"apiKeyHelper": "pass show claude"}'
    settings.write_text("// note\n{}")
    assert bench.keyfob("wire", "claude", "workshop", "--yes").code == 8
    (bench.home / ".npmrc").write_text(f"//{bench.shop.host}/npm/:_authToken=canary\n")
    refused = bench.keyfob("wire", "npm", "workshop", "--registry", f"{bench.shop.base}/npm/", "--yes")
    assert refused.code == 8
    assert "canary" not in refused.err + refused.out


def test_a_closed_provider_and_no_account(bench: Bench) -> None:
    assert bench.keyfob("wire", "git", "--yes").code == 2
    bench.connect("closed", share=False)
    refused = bench.keyfob("wire", "git", "closed", "--yes")
    assert refused.code == 8
    assert "terms" in refused.err
    assert bench.keyfob("wire", "git", "--yes").code == 2
