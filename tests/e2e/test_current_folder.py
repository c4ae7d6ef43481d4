"""S-77: nothing of the current folder is imported or run, by any command, helper or child of Keyfob.

Each entry runs in a folder that a stranger has filled: modules that Python would import, programs that a PATH
with an empty entry would find. Each of them leaves a mark when it runs.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from keyfob.adapters.vault.process import helper_command
from keyfob.process.own_process import own_command
from support.agent_process import said_by
from support.native_launcher import compiled
from support.session import DesktopSession
from support.workshop import ROOT, Bench, bench_at

pytestmark = [pytest.mark.network, pytest.mark.keychain]

MODULES = (
    "keyfob",
    "json",
    "sitecustomize",
    "usercustomize",
    "click",
    "keyring",
    "httpx",
    "subprocess",
    "tomllib",
)
PROGRAMS = (
    "git",
    "keyring",
    "pass",
    "xdg-open",
    "xdg-settings",
    "readlink",
    "env",
    "kubectl",
    "keyfob",
    "firefox",
)
API = (
    "import sys; sys.path.append(sys.argv[1]); import keyfob; print(keyfob.accounts()[0]['id'], "
    "keyfob.token('workshop'))"
)
OLD_TOKEN = "a-token-that-was-refused"
ASKED = "protocol=http\nhost={host}\n\n"


@pytest.fixture(scope="module")
def bench(session: DesktopSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    folder = tmp_path_factory.mktemp("bench")
    with bench_at(folder, session.env) as made:
        made.connect()
        made.shop.repository()
        yield made


class Trap:
    """The stranger's folder, and what ran in it."""

    def __init__(self, folder: Path, marks: Path) -> None:
        self.folder = folder
        self._marks = marks
        folder.mkdir(exist_ok=True)
        marks.mkdir()
        for name in MODULES:
            (folder / f"{name}.py").write_text(f"open({str(marks / name)!r}, 'w').close()\n")
        (folder / "trap.pth").write_text(f"import os; open({str(marks / 'pth')!r}, 'w').close()\n")
        for name in PROGRAMS:
            program = folder / name
            program.write_text(f"#!/bin/sh\n: > {marks}/program-{name}\n")
            program.chmod(0o755)

    @property
    def sprung(self) -> list[str]:
        return sorted(file.name for file in self._marks.iterdir())


@pytest.fixture
def trap(tmp_path: Path) -> Trap:
    return Trap(tmp_path / "cloned", tmp_path / "marks")


def run(
    bench: Bench, trap: Trap, words: tuple[str, ...], *, stdin: str = "", **env: str
) -> subprocess.CompletedProcess[str]:
    """In the stranger's folder, with a PATH that names it by an empty and by a relative entry."""
    programs = bench.env["PATH"]
    program = shutil.which(words[0], path=programs) or words[0]
    done = subprocess.run(
        [program, *words[1:]], cwd=trap.folder, input=stdin, capture_output=True, text=True, timeout=120,
        env=bench.env | {"PATH": f":.:{programs}:"} | env, check=False,
    )  # fmt: skip
    assert trap.sprung == [], (words, trap.sprung)
    return done


VERBS = (
    "accounts --json", "token workshop --header", "token workshop --rejected-stdin", "status workshop",
    "providers list", "doctor", "demo --headless", "exec workshop -- true", "request workshop GET /api/user",
    "wire git workshop --yes", "wire kubectl workshop --yes", "wire curl", "credential kubectl workshop",
    "credential headers workshop", "test workshop", "renew workshop", "events", "export", "completion bash",
    "permissions", "--help",
)  # fmt: skip


@pytest.mark.parametrize("verb", VERBS)
def test_s77_a_verb(bench: Bench, trap: Trap, verb: str) -> None:
    done = run(
        bench, trap, ("keyfob", *verb.split()), stdin=OLD_TOKEN, KUBECONFIG=str(trap.folder.parent / "kube")
    )
    assert "Traceback" not in done.stderr
    assert done.returncode in ((0, 1) if verb == "doctor" else (0,)), done.stderr


@pytest.mark.parametrize("vault", ["pass"])
def test_s77_another_vaults_program(bench: Bench, trap: Trap, vault: str, tmp_path: Path) -> None:
    """`pass` is not found in the folder, and what it starts in turn is not either."""
    home = tmp_path / "home"
    (home / "config").mkdir(parents=True)
    home.chmod(0o700)
    (home / "config").chmod(0o700)
    (home / "config" / "settings.json").write_text(json.dumps({"vault": vault}))
    store = tmp_path / "store"
    store.mkdir()
    (store / ".gpg-id").write_text("nobody\n")
    words = ("keyfob", "doctor", "--json")
    done = run(bench, trap, words, KEYFOB_HOME=str(home), PASSWORD_STORE_DIR=str(store))
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("helper", ["git-credential-keyfob", "docker-credential-keyfob", "keyfob-keyring"])
def test_s77_a_tools_helper(bench: Bench, trap: Trap, helper: str) -> None:
    token = bench.token()
    host, base = bench.shop.host, bench.shop.base
    words, stdin = {
        "git-credential-keyfob": (("get",), ASKED.format(host=host)),
        "docker-credential-keyfob": (("get",), base),
        "keyfob-keyring": (("get", f"{base}/simple/", "alice"), ""),
    }[helper]
    done = run(bench, trap, (helper, *words), stdin=stdin)
    assert (done.returncode, done.stderr) == (0, "")
    assert token in done.stdout


def test_s77_a_helper_that_has_a_token_replaced(bench: Bench, trap: Trap) -> None:
    """The refused token goes to our own command's stdin, to nobody else's."""
    asked = f"protocol=http\nhost={bench.shop.host}\nusername=alice\npassword={OLD_TOKEN}\n\n"
    done = run(bench, trap, ("git-credential-keyfob", "erase"), stdin=asked)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_s77_the_launcher(bench: Bench, trap: Trap, tmp_path: Path) -> None:
    prefix = tmp_path / "prefix"
    version = "python{}.{}".format(*sys.version_info)
    packages = prefix / "lib" / version / "site-packages"
    packages.mkdir(parents=True)
    (prefix / "bin").mkdir()
    launcher = prefix / "bin" / "keyfob-token"
    shutil.copy(ROOT / "packaging" / "scripts" / "keyfob-token", launcher)
    (prefix / "bin" / version).symlink_to(Path(sys.executable).resolve())
    (prefix / "bin" / "keyfob").symlink_to(bench.bin / "keyfob")
    (packages / "keyfob").symlink_to(ROOT / "app" / "keyfob")
    linked = tmp_path / "linked"
    linked.symlink_to(launcher)
    for words in ((str(launcher), "workshop"), (str(linked), "workshop")):
        assert run(bench, trap, words).stdout == bench.token() + "\n"
    # Started by a shell that found it on the PATH: it must find its own folder, not the current one.
    (trap.folder.parent / "lib" / version / "site-packages" / "keyfob").mkdir(parents=True)
    (trap.folder.parent / "lib" / version / "site-packages" / "keyfob" / "__main__.py").touch()
    shutil.copy(trap.folder / "keyfob", trap.folder / version)
    found = run(
        bench, trap, ("bash", "keyfob-token", "workshop"), PATH=f"{prefix / 'bin'}:{bench.env['PATH']}"
    )
    assert found.stdout == bench.token() + "\n"


def test_s77_a_launcher_without_its_command_ends(bench: Bench, trap: Trap, tmp_path: Path) -> None:
    alone = tmp_path / "bin" / "keyfob-token"
    alone.parent.mkdir()
    shutil.copy(ROOT / "packaging" / "scripts" / "keyfob-token", alone)
    done = run(bench, trap, (str(alone), "workshop"))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "keyfob: The keyfob command is not beside keyfob-token. Install Keyfob again.\n"


def test_s77_the_native_launcher(bench: Bench, trap: Trap, tmp_path: Path) -> None:
    """It starts the command that is beside it, or else on the PATH in an absolute folder."""
    (tmp_path / "bin").mkdir()
    launcher = compiled(tmp_path / "bin")
    shutil.copy(launcher, tmp_path / "keyfob-token")
    assert run(bench, trap, (str(tmp_path / "keyfob-token"), "workshop")).stdout == bench.token() + "\n"
    (tmp_path / "bin" / "keyfob").symlink_to(bench.bin / "keyfob")
    for path in (f":.:{bench.env['PATH']}", ":."):
        assert run(bench, trap, (str(launcher), "workshop"), PATH=path).stdout == bench.token() + "\n"
    (tmp_path / "bin" / "keyfob").unlink()
    done = run(bench, trap, (str(launcher), "workshop"), PATH="::.:")
    assert (done.returncode, done.stdout) == (1, "")


def test_s77_a_program_that_uses_the_package(bench: Bench, trap: Trap, tmp_path: Path) -> None:
    script = tmp_path / "elsewhere" / "script.py"
    script.parent.mkdir()
    script.write_text(API)
    done = run(bench, trap, (sys.executable, str(script), str(ROOT / "app")))
    assert done.stdout == f"workshop/alice {bench.token()}\n", done.stderr


def test_s77_started_as_a_module(bench: Bench, trap: Trap) -> None:
    """`python -m keyfob` takes a `keyfob.py` of the folder by Python's own rules, and nothing after it."""
    (trap.folder / "keyfob.py").unlink()
    done = run(bench, trap, (sys.executable, "-m", "keyfob", "accounts", "--json"))
    assert json.loads(done.stdout)["accounts"][0]["id"] == "workshop/alice"
    assert (
        run(bench, trap, (sys.executable, "-m", "keyfob", "token", "workshop")).stdout == bench.token() + "\n"
    )


def test_s77_the_agent(bench: Bench, trap: Trap) -> None:
    env = bench.env | {"PATH": f":.:{bench.env['PATH']}"}
    agent = subprocess.Popen(
        [str(bench.bin / "keyfob"), "agent"], cwd=trap.folder, env=env, stderr=subprocess.PIPE, text=True
    )
    try:
        assert "answers your tools" in said_by(agent)
        assert bench.keyfob("token", "workshop").out.strip()
        assert bench.keyfob("renew", "workshop").code == 0
    finally:
        agent.terminate()
        agent.communicate(timeout=30)
    assert trap.sprung == []


def test_s77_what_is_started_at_login_and_the_keychain_process(bench: Bench, trap: Trap) -> None:
    done = run(bench, trap, (*own_command(), "accounts", "--json"), PYTHONPATH=f":.:{trap.folder}")
    assert json.loads(done.stdout)["accounts"][0]["id"] == "workshop/alice"
    start = json.dumps({"home": "0" * 32, "idle": 60, "prompt": False})
    probe = json.dumps({"id": 1, "op": "probe", "name": "", "seconds": 20})
    helped = run(bench, trap, helper_command(), stdin=f"{start}\n{probe}\n", PYTHONPATH=f":.:{trap.folder}")
    assert json.loads(helped.stdout)["value"][0] is True


def test_s77_exec_runs_the_persons_command_and_none_of_the_folder(bench: Bench, trap: Trap) -> None:
    git = run(bench, trap, ("keyfob", "exec", "workshop", "--", "git", "--version"))
    assert git.stdout.startswith("git version")
    own = trap.folder / "only-here"
    own.write_text("#!/bin/sh\nprintenv PATH\n")
    own.chmod(0o755)
    missing = run(bench, trap, ("keyfob", "exec", "workshop", "--", "only-here"))
    assert (missing.returncode, missing.stdout) == (127, "")
    assert missing.stderr.endswith(
        "Command not found: only-here. To run the one in this folder, type ./only-here.\n"
    )
    meant = run(bench, trap, ("keyfob", "exec", "workshop", "--", "./only-here"))
    assert meant.stdout == f":.:{bench.env['PATH']}:\n"  # the command has the person's own PATH


def test_s77_fetching_in_a_strangers_repository(bench: Bench, trap: Trap) -> None:
    """The repository tracks `keyfob.py`, and its server answers 401, so that git asks its helper in there.
    git finds a helper by its name on the PATH: with a PATH like this one, `wire` writes the helper's whole
    path.
    """
    git = str(shutil.which("git"))
    helper = trap.folder / "git-credential-keyfob"
    shutil.copy(trap.folder / "git", helper)
    wired = run(bench, trap, ("keyfob", "wire", "git", "workshop", "--yes"))
    assert wired.returncode == 0, wired.stderr
    assert str(bench.bin / "git-credential-keyfob") in (bench.home / ".gitconfig").read_text()
    for words in (("init", "-q"), ("remote", "add", "origin", f"{bench.shop.base}/git/box.git")):
        run(bench, trap, (git, *words))
    before = len(bench.shop.tokens_seen("/git/box.git"))  # the shop is shared with the tests before
    done = run(bench, trap, (git, "fetch", "-q", "origin"))
    assert done.returncode == 0, done.stderr
    assert set(bench.shop.tokens_seen("/git/box.git")[before:]) == {bench.token()}


def test_s77_cloning_a_strangers_repository_with_a_submodule(
    bench: Bench, trap: Trap, tmp_path: Path
) -> None:
    assert bench.keyfob("wire", "git", "workshop", "--yes").code == 0
    super_ = trap.folder
    (super_ / ".gitmodules").write_text(
        f'[submodule "m"]\n\tpath = m\n\turl = {bench.shop.base}/git/box.git\n'
    )
    who = ("-c", "user.name=A", "-c", "user.email=a@example.org")
    head = bench.run("git", "-C", str(bench.shop.folder / "git" / "box.git"), "rev-parse", "main").out.strip()
    for words in (
        ("init", "-q", "-b", "main"), ("add", "."),
        ("update-index", "--add", "--cacheinfo", f"160000,{head},m"),
        (*who, "commit", "-qm", "one"),
    ):  # fmt: skip
        done = bench.run("git", *words, cwd=super_)
        assert done.code == 0, done.err
    cloned = tmp_path / "clone"
    done = bench.run("git", "clone", "-q", "--recurse-submodules", str(super_), str(cloned))
    assert done.code == 0, done.err
    assert (cloned / "m" / "README").read_text() == "found\n"
    assert trap.sprung == []
