"""S-82: what another program has of Keyfob, started by it or taking its
place: no secret but the one asked for.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from keyfob.process.own_process import CREDENTIAL, package_root
from support.agent_process import PASSPHRASE, Machine, machine
from support.running import until

pytestmark = [
    pytest.mark.network,
    pytest.mark.skipif(os.name == "nt", reason="descriptors and limits of POSIX"),
]

# Tells everything that it was given: its environment, what its descriptors hold, its limits.
LOOK = """\
import json, os, resource, sys
held = {}
for name in os.listdir("/proc/self/fd"):
    if int(name) > 2:
        try:
            os.set_blocking(int(name), False)
            held[name] = os.read(int(name), 4096).decode("latin-1")
        except OSError:
            pass
told = {"env": dict(os.environ), "held": held, "core": resource.getrlimit(resource.RLIMIT_CORE)}
told["filter"] = open("/proc/self/coredump_filter").read()
with open(sys.argv[1] + ".new", "w") as file:
    json.dump(told, file)
os.rename(sys.argv[1] + ".new", sys.argv[1])
"""


@pytest.fixture(scope="module")
def home() -> Iterator[Machine]:
    with machine() as made:
        made.connect()
        yield made


@pytest.fixture
def look(tmp_path: Path) -> tuple[Path, Path]:
    """The script, and the file that it tells in."""
    script = tmp_path / "look.py"
    script.write_text(LOOK)
    return script, tmp_path / "told.json"


@pytest.mark.parametrize("through_agent", [True, False])
def test_s82_exec_gives_the_command_the_token_alone(
    home: Machine, look: tuple[Path, Path], through_agent: bool
) -> None:
    """With an agent nobody reads the passphrase: it must not be left to the command."""
    script, told = look
    agent = home.agent() if through_agent else None
    before = resource.getrlimit(resource.RLIMIT_CORE)
    ran = home.run("exec", "here", "--", sys.executable, str(script), str(told))
    assert ran.code == 0, ran.err
    found = json.loads(told.read_text())
    assert PASSPHRASE not in json.dumps(found)
    assert "KEYFOB_PASSPHRASE_FD" not in found["env"]
    assert found["env"]["HERE_TOKEN"]
    assert tuple(found["core"]) == before
    assert found["filter"] == Path("/proc/self/coredump_filter").read_text()
    if agent is not None:
        home.kill(agent)


@pytest.mark.parametrize("ours", [True, False])
def test_s82_systemds_credentials_are_left_out_where_ours_is_among_them(
    home: Machine, look: tuple[Path, Path], tmp_path: Path, ours: bool
) -> None:
    script, told = look
    folder = tmp_path / "credentials"
    folder.mkdir()
    (folder / (CREDENTIAL if ours else "another")).write_text(PASSPHRASE)
    ran = home.run(
        "exec", "here", "--", sys.executable, str(script), str(told), CREDENTIALS_DIRECTORY=str(folder)
    )
    assert ran.code == 0, ran.err
    assert ("CREDENTIALS_DIRECTORY" in json.loads(told.read_text())["env"]) is not ours


def test_s82_the_browser_gets_no_way_to_the_passphrase(home: Machine, look: tuple[Path, Path]) -> None:
    script, told = look
    connecting = home.start(
        "connect", "here", "--timeout", "30", BROWSER=f"{sys.executable} {script} {told} %s"
    )
    until(told.exists)
    connecting.send_signal(signal.SIGINT)
    connecting.communicate(timeout=30)
    found = json.loads(told.read_text())
    assert PASSPHRASE not in json.dumps(found)
    assert "KEYFOB_PASSPHRASE_FD" not in found["env"]


# --- core dumps ---------------------------------------------------------------------------------------------

CRASH = (
    "import os, resource, sys; sys.path.insert(0, {root!r}); from keyfob.process.own_process import begin; "
    # Its parent may have passed on the filter of a process of ours.
    "open('/proc/self/coredump_filter', 'w').write('0x33'); {begin}; "
    "resource.setrlimit(resource.RLIMIT_CORE, ({soft}, {soft})); canary = 'canary-' + 'in-memory'; os.abort()"
)


def crashed(folder: Path, *, begin: bool, soft: int) -> bytes:
    """What a process of ours that aborts leaves in its folder."""
    code = CRASH.format(root=package_root(), begin="begin()" if begin else "pass", soft=soft)
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, check=False, stderr=subprocess.DEVNULL)
    assert done.returncode == -signal.SIGABRT
    return b"".join(file.read_bytes() for file in folder.iterdir())


@pytest.mark.skipif(
    "/" in Path("/proc/sys/kernel/core_pattern").read_text()
    or "|" in Path("/proc/sys/kernel/core_pattern").read_text()
    or resource.getrlimit(resource.RLIMIT_CORE)[1] == 0,
    reason="core files of this machine go elsewhere",
)
def test_s82_what_is_dumped_all_the_same_holds_no_memory(tmp_path: Path) -> None:
    """A program that collects core dumps gets one whatever the limit says: here the limit is lifted again."""
    size = 1 << 30
    (tmp_path / "before").mkdir()
    (tmp_path / "after").mkdir()
    assert b"canary-in-memory" in crashed(tmp_path / "before", begin=False, soft=size)
    assert b"canary-in-memory" not in crashed(tmp_path / "after", begin=True, soft=size)


@pytest.mark.parametrize("argv", [("agent",), ("events", "--follow")])
def test_s82_our_processes_dump_nothing(home: Machine, argv: tuple[str, ...]) -> None:
    process = home.start(*argv)
    filter_, limits = (Path(f"/proc/{process.pid}/{name}") for name in ("coredump_filter", "limits"))
    until(lambda: int(filter_.read_text(), 16) == 0, "the filter", 10)
    (core,) = [line for line in limits.read_text().splitlines() if line.startswith("Max core file size")]
    assert core.split()[4] == "0"
    home.kill(process)
