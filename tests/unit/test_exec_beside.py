"""What lasts as long as a command of `keyfob exec`: files with fresh tokens, the endpoint for AWS tools."""

from __future__ import annotations

import http.client
import json
import os
import signal
import sys
import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from filelock import FileLock

from keyfob.cli import token_files
from keyfob.cli.aws_endpoint import KEY, OTHERS, URI, AwsEndpoint
from keyfob.cli.child import relayed_signals, run
from keyfob.cli.session import Session
from keyfob.cli.token_files import TokenFiles, WantedFile
from keyfob.core.errors import SettingWrong, SignInNeeded, Transient
from keyfob.core.secret import Secret
from keyfob.process import paths
from keyfob.tools.aws import default_profile
from support.rig import START, MovingClock, Rig
from support.running import until

# --- files with a token -------------------------------------------------------------------------------------


@pytest.fixture
def rig(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Rig:
    monkeypatch.setenv("KEYFOB_SOCK", "/nonexistent/agent.sock")
    monkeypatch.setattr(token_files, "LOOK", 0.02)
    monkeypatch.setattr(paths, "memory_folder", lambda _: str(tmp_path / "memory"))
    (tmp_path / "memory").mkdir(mode=0o700)
    made = Rig(tmp_path / "rig")
    made.connect()
    return made


def session_of(rig: Rig) -> Session:
    def engine(*_: object, **__: object) -> Any:
        return rig.engine

    return Session(lambda _: 0, rig.clock, engine)


def one_file(session: Session, renewed: Callable[[Secret], object] = lambda _: None) -> TokenFiles:
    return TokenFiles(session, Path("/nonexistent"), renewed)


def test_s88_a_file_is_ours_alone_is_kept_fresh_and_goes(rig: Rig, tmp_path: Path) -> None:
    session, wanted, renewed = session_of(rig), WantedFile("example", None), list[str]()
    with one_file(session, lambda token: renewed.append(token.reveal())) as files:
        found = wanted.get(session)
        assert wanted.variable_for(found) == "EXAMPLE_TOKEN_FILE"
        assert WantedFile("example", None, id_token=True).variable_for(found) == "EXAMPLE_ID_TOKEN_FILE"
        path = files.add(wanted, found)
        assert path.parent.parent == tmp_path / "memory"
        assert path.read_text() == "access-1"
        assert [each.stat().st_mode & 0o777 for each in (path, path.parent)] == [0o600, 0o700]
        files.start()
        rig.clock.forward(seconds=3600 - token_files.AHEAD + 1)
        until(lambda: path.read_text() == "access-2", "the new token")
        until(lambda: renewed == ["access-2"], "the new token to be masked")
        assert path.stat().st_mode & 0o777 == 0o600
        assert [each.name for each in path.parent.iterdir()] == [path.name]
    assert rig.server.log.count("refresh") == 1
    assert [each.name for each in (tmp_path / "memory").iterdir()] == ["exec-all.lock"]


def test_a_token_that_another_process_renewed_is_written_too(rig: Rig) -> None:
    session, wanted = session_of(rig), WantedFile("example", "T")
    with one_file(session) as files:
        path = files.add(wanted, wanted.get(session))
        files.start()
        rig.ask(force=True)
        until(lambda: path.read_text() == "access-2", "the new token")


def test_a_renewal_that_fails_is_said_once_and_tried_again(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    session, wanted = session_of(rig), WantedFile("example", "T")
    fails = [Transient("The network is down", code="network_unreachable")] * 3
    real = token_files.lease

    def lease(*given: Any, **more: Any) -> Any:
        if fails:
            raise fails.pop()
        return real(*given, **more)

    with one_file(session) as files:
        path = files.add(wanted, wanted.get(session))
        monkeypatch.setattr(token_files, "lease", lease)
        files.start()
        rig.ask(force=True)
        until(lambda: path.read_text() == "access-2", "the new token")
    said = capfd.readouterr().err
    assert said == (
        "keyfob: The token file cannot be kept fresh: The network is down. Check your internet connection "
        "and try again.\n"
    )


def test_what_a_killed_process_left_is_removed_and_nothing_else(rig: Rig, tmp_path: Path) -> None:
    base = tmp_path / "memory"
    for name in ("exec-1-aa", "exec-2-bb"):
        (base / name).mkdir()
        (base / name / "token-1").write_text("left")
        (base / f"{name}.lock").touch()
    with FileLock(base / "exec-2-bb.lock"), one_file(session_of(rig)) as files:
        assert not (base / "exec-1-aa").exists()
        assert not (base / "exec-1-aa.lock").exists()
        assert (base / "exec-2-bb" / "token-1").exists()
        with one_file(session_of(rig)):
            assert files.folder.exists()


def test_without_a_folder_in_memory_it_is_the_homes_own(
    rig: Rig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paths, "memory_folder", lambda _: None)
    with TokenFiles(session_of(rig), tmp_path, lambda _: None) as files:
        assert files.folder.parent == tmp_path


def test_a_folder_that_cannot_be_written(tmp_path: Path, rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(paths, "memory_folder", lambda _: str(tmp_path / "file"))
    with pytest.raises(SettingWrong) as caught, one_file(session_of(rig)):
        pass
    assert caught.value.code == "file_unwritable"


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="folders of Linux")
def test_the_folder_in_memory_is_ours_alone(tmp_path: Path) -> None:
    found = paths.memory_folder({"XDG_RUNTIME_DIR": str(tmp_path)})
    assert found == str(tmp_path / "keyfob-files")
    assert (tmp_path / "keyfob-files").stat().st_mode & 0o777 == 0o700
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "keyfob-files").symlink_to("/tmp")
    assert paths.memory_folder({"XDG_RUNTIME_DIR": str(tmp_path / "other")}) != str(
        tmp_path / "other" / "keyfob-files"
    )


# --- the endpoint for AWS tools -----------------------------------------------------------------------------

PAIR = {"AccessKeyId": "AK", "SecretAccessKey": "SK"}


def ask(endpoint: AwsEndpoint, path: str | None = None, **headers: str) -> tuple[int, dict[str, str]]:
    url = urlsplit(endpoint.variables[URI])
    assert url.hostname == "127.0.0.1"
    connection = http.client.HTTPConnection("127.0.0.1", url.port or 0, timeout=10)
    connection.request("GET", url.path if path is None else path, headers=headers)
    answer = connection.getresponse()
    document = json.loads(answer.read())
    connection.close()
    return answer.status, document


@pytest.mark.network
def test_s88_fresh_keys_for_who_has_the_key() -> None:
    given: list[Any] = [
        PAIR | {"SessionToken": "ST", "Expiration": "2026-11-20T13:00:00Z"},
        PAIR,
        SignInNeeded("The sign-in has ended"),
        Transient("The network is down", code="network_unreachable"),
    ]

    def keys() -> dict[str, str]:
        found = given.pop(0)
        if isinstance(found, Exception):
            raise found
        return dict(found)

    with AwsEndpoint(keys, MovingClock()) as endpoint:
        key = endpoint.variables[KEY]
        assert len(key) >= 32
        for wrong in ({}, {"Authorization": "x"}, {"Authorization": f"Bearer {key}"}, {"Authorization": "ä"}):
            status, document = ask(endpoint, **wrong)
            assert (status, document["code"]) == (403, "forbidden")
        assert ask(endpoint, "/other", Authorization=key)[0] == 404
        assert len(given) == 4
        assert ask(endpoint, Authorization=key) == (
            200,
            PAIR | {"Token": "ST", "Expiration": "2026-11-20T13:00:00Z"},
        )
        # The SDKs want both members. An hour is when they ask again.
        later = (START + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        assert ask(endpoint, Authorization=key) == (200, PAIR | {"Token": "", "Expiration": later})
        assert ask(endpoint, Authorization=key)[0] == 400
        status, document = ask(endpoint, Authorization=key)
        assert (status, document["code"]) == (503, "network_unreachable")
        assert document["message"].startswith("The network is down. ")
    with pytest.raises(OSError, match="refused"):
        ask(endpoint, Authorization=key)


@pytest.mark.network
def test_each_endpoint_has_its_own_key() -> None:
    with AwsEndpoint(lambda: PAIR, MovingClock()) as one, AwsEndpoint(lambda: PAIR, MovingClock()) as two:
        assert one.variables[KEY] != two.variables[KEY]
        assert ask(one, Authorization=two.variables[KEY])[0] == 403


@pytest.mark.network
def test_one_asks_at_a_time() -> None:
    busy, most = [0], [0]
    lock, together = threading.Lock(), threading.Barrier(4)

    def keys() -> dict[str, str]:
        with lock:
            busy[0] += 1
            most[0] = max(most[0], busy[0])
        threading.Event().wait(0.02)
        with lock:
            busy[0] -= 1
        return PAIR

    with AwsEndpoint(keys, MovingClock()) as endpoint:

        def asked() -> None:
            together.wait(10)
            assert ask(endpoint, Authorization=endpoint.variables[KEY])[0] == 200

        threads = [threading.Thread(target=asked) for _ in range(4)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
    assert most == [1]


@pytest.mark.parametrize(
    ("file", "text", "found"),
    [
        ("credentials", "[default]\naws_access_key_id = x\n", True),
        ("config", "[default]\nregion = eu-west-1\ncredential_process = x\n", True),
        ("config", "[default]\nregion = eu-west-1\n[profile a]\nsso_session = x\n", False),
        ("credentials", "not a file of settings", False),
        ("credentials", "[default]\n[default]\naws_access_key_id = x\n", True),
    ],
)
def test_a_default_profile_with_keys_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, text: str, found: bool
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / file).write_text(text)
    assert default_profile({}) == (tmp_path / ".aws" / file if found else None)
    other = {"AWS_SHARED_CREDENTIALS_FILE": os.devnull, "AWS_CONFIG_FILE": str(tmp_path / "none")}
    assert default_profile(other) is None


def test_what_would_go_before_the_endpoint_is_known() -> None:
    assert {"AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI"} <= {*OTHERS}


# --- the command as a child ---------------------------------------------------------------------------------


def test_a_signal_before_the_command_starts_reaches_it() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with relayed_signals() as relay:
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGINT)
        code = run(sys.executable, [sys.executable, "-c", "import time; time.sleep(60)"], os.environ, relay)
    assert code in (128 + signal.SIGTERM, 130)
    assert signal.getsignal(signal.SIGTERM) is before


@pytest.mark.skipif(os.name == "nt", reason="limits of POSIX")
def test_s82_this_process_writes_no_core_dump_while_the_command_may(tmp_path: Path) -> None:
    code = f"""
import os, resource, sys
sys.path.insert(0, {str(Path(token_files.__file__).parents[2])!r})
resource.setrlimit(resource.RLIMIT_CORE, (1024, resource.getrlimit(resource.RLIMIT_CORE)[1]))
from keyfob.process.own_process import begin
begin()
from keyfob.cli.child import relayed_signals, run
with relayed_signals() as relay:
    run("/bin/sh", ["sh", "-c", "ulimit -S -c; cat /proc/self/coredump_filter"], os.environ, relay)
print(resource.getrlimit(resource.RLIMIT_CORE)[0], flush=True)
"""
    import subprocess

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    lines = done.stdout.split()
    assert lines[0] in ("2", "1")  # 1024 bytes in the shell's blocks
    assert lines[-1] == "0"
    if sys.platform.startswith("linux"):
        assert int(lines[1], 16) == int(Path("/proc/self/coredump_filter").read_text(), 16)
