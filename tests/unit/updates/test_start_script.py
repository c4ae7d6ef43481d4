"""A bundle's start script: it starts the current version, and goes back if a new one does not start."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from keyfob.updates.bundle import Bundle
from support.bundles import CRASHES, WELL, new_bundle, packed, start

pytestmark = pytest.mark.skipif(os.name == "nt", reason="a bundle updates itself on Linux alone")
BACK = "keyfob: version 2.0 did not start. Version 1.0 is used again.\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return new_bundle(tmp_path / "kept here" / "keyfob", "1.0")


def updated(root: Path, program: str) -> Bundle:
    """The bundle with 2.0 on trial."""
    bundle = Bundle(root)
    staged = bundle.staging("2.0")
    staged.mkdir()
    (staged / "keyfob").write_text(program.replace("%VERSION%", "2.0"))
    (staged / "keyfob").chmod(0o755)
    bundle.adopt(staged, "2.0")
    bundle.switch("2.0")
    return bundle


def test_it_starts_the_current_version_with_its_arguments(root: Path) -> None:
    done = start(root, "token", "a b", "--x=$y", stdin=None, input="from a pipe")
    assert (done.stdout, done.stderr, done.returncode) == ("1.0: token a b --x=$y\nfrom a pipe", "", 0)


@pytest.mark.parametrize("place", ["absolute", "relative", "beside"])
def test_it_works_through_links(root: Path, tmp_path: Path, place: str) -> None:
    folder = tmp_path / "bin"
    folder.mkdir()
    link = folder / "keyfob"
    link.symlink_to(root / "keyfob" if place == "absolute" else os.path.relpath(root / "keyfob", folder))
    if place == "beside":
        link.rename(folder / "other")
        link.symlink_to("other")
    for command, where in (([str(link)], tmp_path), (["./keyfob"], folder), (["keyfob"], tmp_path)):
        done = subprocess.run(
            [*command, "--version"], cwd=where, env=os.environ | {"PATH": f"{folder}:{os.environ['PATH']}"},
            capture_output=True, text=True, timeout=30, check=True,
        )  # fmt: skip
        assert done.stdout == "keyfob 1.0\n"


def test_a_version_that_starts_stays(root: Path) -> None:
    bundle = updated(root, WELL)
    assert bundle.on_trial() == ("2.0", "1.0")
    assert start(root, "agent").stdout.startswith("agent of 2.0")
    assert bundle.on_trial() is None
    assert sorted(each.name for each in root.iterdir()) == ["current", "keyfob", "versions"]
    assert start(root, "--version").stdout == "keyfob 2.0\n"


def test_a_version_that_crashes_is_left_and_the_start_succeeds(root: Path) -> None:
    bundle = updated(root, CRASHES)
    done = start(root, "agent")
    assert done.stdout.startswith("agent of 1.0")
    assert done.stderr == "Traceback\n" + BACK
    assert done.returncode == 0
    assert (bundle.current(), bundle.failed(), bundle.on_trial()) == ("1.0", "2.0", None)
    assert start(root, "agent").stderr == "", "it is said once"
    bundle.forget_failure()
    assert bundle.failed() is None


def test_the_window_is_on_trial_only_with_a_screen(root: Path) -> None:
    bundle = updated(root, CRASHES)
    bare = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
    assert start(root, env=bare).returncode == 1
    assert bundle.current() == "2.0"
    done = start(root, env=bare | {"DISPLAY": ":99"})
    assert done.stdout == "1.0: \n"
    assert done.stderr.endswith(BACK)
    assert bundle.current() == "1.0"


@pytest.mark.parametrize("code", [2, 5, 8])
def test_an_error_that_keyfob_explains_is_no_crash(root: Path, code: int) -> None:
    bundle = updated(root, f"#!/bin/sh\nexit {code}\n")
    assert start(root, "agent").returncode == code
    assert bundle.on_trial() == ("2.0", "1.0"), "the next start decides"
    assert not (root / "trial.started").exists()


@pytest.mark.parametrize("arguments", [("agent", "--status"), ("token", "x"), ("agent", "--stop")])
def test_a_command_decides_nothing(root: Path, arguments: tuple[str, ...]) -> None:
    bundle = updated(root, CRASHES)
    assert start(root, *arguments).returncode == 1
    assert bundle.on_trial() == ("2.0", "1.0")
    assert bundle.current() == "2.0"


def test_a_program_that_cannot_run_at_all_is_left(root: Path) -> None:
    bundle = updated(root, "#!/nowhere/interpreter\n")
    assert start(root, "agent").stdout.startswith("agent of 1.0")
    assert bundle.failed() == "2.0"


def test_a_trial_that_ended_without_a_word_is_left_at_the_next_start(root: Path) -> None:
    """The power failed, or all of it was killed."""
    bundle = updated(root, WELL)
    process = subprocess.Popen(["true"])
    process.wait()
    (root / "trial.started").write_text(f"{process.pid} 2.0\n")
    done = start(root, "agent")
    assert done.stdout.startswith("agent of 1.0")
    assert done.stderr == BACK
    assert bundle.failed() == "2.0"


def test_what_an_older_trial_left_means_nothing(root: Path) -> None:
    bundle = updated(root, WELL)
    (root / "trial.started").write_text("1 1.9\n")
    assert start(root, "agent").stdout.startswith("agent of 2.0")
    bundle.switch("1.0")
    assert not (root / "trial.started").exists()


def test_a_second_start_waits_for_no_trial_and_ends_none(root: Path) -> None:
    bundle = updated(root, "#!/bin/sh\necho begun; exec sleep 60\n")
    with subprocess.Popen([str(root / "keyfob"), "agent"], stdout=subprocess.PIPE, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "begun\n"
        with subprocess.Popen([str(root / "keyfob"), "agent"], stdout=subprocess.PIPE, text=True) as second:
            assert second.stdout is not None
            assert second.stdout.readline() == "begun\n"
            second.terminate()
        assert bundle.on_trial() == ("2.0", "1.0")
        assert bundle.current() == "2.0"
        first.send_signal(signal.SIGTERM)
        assert first.wait(10) == 128 + signal.SIGTERM, "the signal reaches the app, whose end it reports"
    assert bundle.on_trial() == ("2.0", "1.0"), "ended by the user, which says nothing"


def test_an_app_that_is_killed_on_trial_is_left(root: Path) -> None:
    bundle = updated(root, "#!/bin/sh\nkill -9 $$\n")
    assert start(root, "agent").stdout.startswith("agent of 1.0")
    assert bundle.failed() == "2.0"


def test_the_socket_of_systemd_is_for_the_new_version(root: Path) -> None:
    """Its variable names a process (sd_listen_fds), which on trial is another one than the script."""
    updated(root, WELL)
    done = subprocess.run(
        ["sh", "-c", 'export LISTEN_PID=$$; exec "$0" agent', str(root / "keyfob")],
        capture_output=True, text=True, timeout=30, check=True,
    )  # fmt: skip
    _, _, version, named, pid = done.stdout.split()
    assert version == "2.0"
    assert named == pid


def test_a_bundle_that_was_copied_without_its_link_starts(root: Path) -> None:
    (root / "current").unlink()
    assert start(root, "--version").stdout == "keyfob 1.0\n"
    assert Bundle(root).current() == "1.0"


def test_it_costs_next_to_nothing(root: Path) -> None:
    """Two milliseconds on an idle machine; the bound is for a busy one."""
    (root / "versions" / "1.0" / "keyfob").unlink()
    shutil.copy("/bin/true", root / "versions" / "1.0" / "keyfob")
    times = []
    for _ in range(20):
        began = time.perf_counter()
        start(root)
        times.append(time.perf_counter() - began)
    assert min(times) < 0.05


def test_tidying_keeps_what_a_start_needs(root: Path, tmp_path: Path) -> None:
    bundle = updated(root, WELL)
    for old in ("0.1", "0.2"):
        shutil.copytree(root / "versions" / "1.0", root / "versions" / old)
    running = root / "versions" / "0.1" / "sleep"
    shutil.copy("/bin/sleep", running)
    (root / "versions" / ".3.0.new").mkdir()
    with subprocess.Popen([str(running), "60"]) as process:
        bundle.tidy()
        assert sorted(each.name for each in bundle.versions.iterdir()) == ["0.1", "1.0", "2.0"]
        bundle.started_well("1.0")
        assert bundle.on_trial() is not None, "another version's start says nothing"
        bundle.started_well("2.0")
        process.kill()
    bundle.tidy()
    assert len(list(bundle.versions.iterdir())) == 2
    assert packed(tmp_path, "1.0").exists()


def test_the_start_script_follows_a_version_that_has_started(root: Path) -> None:
    bundle = updated(root, WELL)
    new = (root / "keyfob").read_text().replace("#!/bin/sh\n", "#!/bin/sh\n# newer\n")
    (root / "versions" / "2.0" / "start-script").write_text(new)
    assert "# newer" not in (root / "keyfob").read_text()
    bundle.started_well("2.0")
    assert (root / "keyfob").read_text() == new
    assert start(root, "--version").stdout == "keyfob 2.0\n"
    assert not [each for each in root.iterdir() if each.name.startswith(".")]
