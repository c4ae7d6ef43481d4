"""S-79: another tool's file is changed only at the places that were shown, with a backup, or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from keyfob.adapters.system import tool_files
from keyfob.core.errors import SettingWrong
from keyfob.ports import Blanked, Span, ToBlank

DATA = b"\xef\xbb\xbfKEY=secret\r\nOTHER=secret-and-more\r\n\xff"
SPAN = Span(7, 13)
AFTER = b"\xef\xbb\xbfKEY=\r\nOTHER=secret-and-more\r\n\xff"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / ".env"
    path.write_bytes(DATA)
    path.chmod(0o640)
    return path


def job(path: Path, *spans: Span, data: bytes = DATA) -> ToBlank:
    return ToBlank(path, hashlib.sha256(data).hexdigest(), spans)


def blank(*jobs: ToBlank) -> Blanked:
    (done,) = tool_files.blank(jobs)
    return done


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


def test_the_bytes_of_the_span_alone_change_and_a_backup_keeps_the_old_file(file: Path) -> None:
    done = blank(job(file, SPAN))
    assert (done.path, done.error) == (file, None)
    assert (file.read_bytes(), mode(file)) == (AFTER, 0o640)
    assert done.backup == file.with_name(".env.before-keyfob")
    assert (done.backup.read_bytes(), mode(done.backup)) == (DATA, 0o600)
    assert sorted(file.parent.iterdir()) == [file, done.backup]


@given(st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_the_bytes_those_outside_the_spans_stay(tmp_path: Path, data: Any) -> None:
    content = data.draw(st.binary(max_size=60))
    ends = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=6)))
    spans = [
        Span(a, b, data.draw(st.sampled_from([b"", b"x"])))
        for a, b in zip(ends[::2], ends[1::2], strict=False)
    ]
    path = tmp_path / "store"
    path.write_bytes(content)
    done = blank(job(path, *spans, data=content))
    wanted, at = b"", 0
    for span in sorted(set(spans), key=lambda each: (each.start, each.end, each.filler)):
        if span.start < at:
            return  # one place with two fillers cannot be meant
        wanted += content[at : span.start] + span.filler
        at = span.end
    assert path.read_bytes() == wanted + content[at:]
    assert done.backup is not None
    assert done.backup.read_bytes() == content
    done.backup.unlink()


def test_a_file_that_changed_meanwhile_is_left_alone(file: Path) -> None:
    asked = job(file, SPAN)
    file.write_bytes(DATA + b"MORE=1\n")
    done = blank(asked)
    assert isinstance(done.error, SettingWrong)
    assert "has changed since Keyfob read it" in done.error.message
    assert file.read_bytes() == DATA + b"MORE=1\n"
    assert list(file.parent.iterdir()) == [file]
    file.unlink()
    assert blank(asked).error is not None
    assert list(file.parent.iterdir()) == []


def test_a_file_that_changes_while_it_is_written_is_left_alone(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copystat = tool_files.shutil.copystat

    def someone_writes(*paths: Path) -> None:
        copystat(*paths)
        file.write_bytes(b"other")

    monkeypatch.setattr(tool_files.shutil, "copystat", someone_writes)
    assert blank(job(file, SPAN)).error is not None
    assert file.read_bytes() == b"other"
    assert list(file.parent.iterdir()) == [file]


def test_a_link_stays_a_link_and_a_file_with_two_paths_is_changed_once(file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "home"
    folder.mkdir()
    link = folder / ".env"
    link.symlink_to(file)
    other = Span(21, 27, b"x")
    done = blank(job(link, SPAN), job(file, SPAN, other))
    assert link.is_symlink()
    assert file.read_bytes() == b"\xef\xbb\xbfKEY=\r\nOTHER=x-and-more\r\n\xff"
    assert done.backup == file.with_name(".env.before-keyfob")
    assert list(folder.iterdir()) == [link]


def test_an_earlier_backup_is_never_overwritten_nor_a_planted_link_followed(
    file: Path, tmp_path: Path
) -> None:
    first, second = file.with_name(".env.before-keyfob"), file.with_name(".env.before-keyfob.2")
    first.write_text("the person's own")
    second.symlink_to(tmp_path / "elsewhere")
    done = blank(job(file, SPAN))
    assert done.backup == file.with_name(".env.before-keyfob.3")
    assert first.read_text() == "the person's own"
    assert not (tmp_path / "elsewhere").exists()


def test_a_file_with_a_second_name_is_refused_as_the_other_would_keep_the_secret(file: Path) -> None:
    second = file.with_name("same")
    second.hardlink_to(file)
    done = blank(job(file, SPAN))
    assert done.error is not None
    assert "hard link" in done.error.message
    assert file.read_bytes() == second.read_bytes() == DATA
    assert sorted(file.parent.iterdir()) == [file, second]


@pytest.mark.parametrize("spans", [(Span(7, 13), Span(9, 15)), (Span(0, 1000),), (Span(5, 4),)])
def test_spans_that_make_no_sense_change_nothing(file: Path, spans: tuple[Span, ...]) -> None:
    assert blank(job(file, *spans)).error is not None
    assert file.read_bytes() == DATA
    assert list(file.parent.iterdir()) == [file]


@pytest.mark.parametrize("step", range(8))
@pytest.mark.parametrize("call", ["write", "fsync", "open", "replace"])
def test_a_disk_that_fails_at_any_step_changes_nothing(
    file: Path, monkeypatch: pytest.MonkeyPatch, call: str, step: int
) -> None:
    steps = iter(range(100))
    if call == "write":
        real_fdopen = os.fdopen

        def full(handle: int, how: str) -> Any:
            opened = real_fdopen(handle, how)
            if next(steps) == step:
                opened.close()
                opened = Path("/dev/full").open("wb")  # noqa: SIM115 (the caller closes it)
            return opened

        monkeypatch.setattr(os, "fdopen", full)
    else:
        real = getattr(os, call)

        def failing(*args: Any, **named: Any) -> Any:
            if next(steps) == step:
                raise OSError(errno.ENOSPC, "No space left on device")
            return real(*args, **named)

        monkeypatch.setattr(os, call, failing)
    done = blank(job(file, SPAN))
    monkeypatch.undo()
    if done.error is None:  # the step comes after the change was made, or never
        assert file.read_bytes() == AFTER
        assert done.backup is not None
        assert done.backup.read_bytes() == DATA
    else:
        assert "Nothing was changed" in done.error.message
        assert (file.read_bytes(), mode(file)) == (DATA, 0o640)
        assert list(file.parent.iterdir()) == [file]


def test_one_file_that_fails_does_not_stop_the_next(file: Path, tmp_path: Path) -> None:
    gone = job(tmp_path / "gone", SPAN)
    first, second = tool_files.blank([gone, job(file, SPAN)])
    assert first.error is not None
    assert (second.error, file.read_bytes()) == (None, AFTER)
