"""Puts a newer copy of a companion tool in the place of the installed one, in one step.

The old copy is kept beside the new one until the new one says its version, and comes back if it does not. If
anything fails before the step, nothing has changed. An end in the middle of it (a power cut) is put right by
`recover`, which the next update begins with. Blocks; one update of a tool at a time.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from keyfob.core.errors import PeerFault
from keyfob.process.home import sync_folder
from keyfob.updates.part_file import disk_error

Answers = Callable[[Path], bool]


def put_program(new: Path, target: Path, answers: Answers) -> None:
    """The file `new` takes the place of `target`, which need not exist. `answers`: whether the program at a
    path says the expected version. Raises PeerFault `tool_broken`, and SettingWrong `disk_full` or
    `file_unwritable`; `target` is then as it was.
    """
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = _fresh(target)
        try:
            shutil.copyfile(new, fresh)
            fresh.chmod(_mode(target))
            _to_disk(fresh)
            _swap(fresh, target)
        finally:
            fresh.unlink(missing_ok=True)
    _judge(target, answers)


def put_link(program: Path, target: Path, answers: Answers) -> None:
    """As `put_program`, with a link to `program`, a file in a folder of its own."""
    with disk_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
        fresh = _fresh(target)
        try:
            fresh.unlink(missing_ok=True)
            fresh.symlink_to(program)
            _swap(fresh, target)
        finally:
            fresh.unlink(missing_ok=True)
    _judge(target, answers)


def recover(target: Path, answers: Callable[[Path], bool]) -> None:
    """Put right what an update that was cut off has left: the copy that works stays, the old one first if
    both do not. `answers`: whether the program at a path says any version.
    """
    _fresh(target).unlink(missing_ok=True)
    kept = _kept(target)
    if not os.path.lexists(kept):
        return
    if target.exists() and answers(target):
        kept.unlink()
    else:
        kept.replace(target)


def _swap(fresh: Path, target: Path) -> None:
    """The one step, once the old copy has a second name."""
    kept = _kept(target)
    kept.unlink(missing_ok=True)
    if os.path.lexists(target):
        try:
            os.link(target, kept, follow_symlinks=False)
        except OSError:  # a file system without hard links
            shutil.copy2(target, kept, follow_symlinks=False)
    fresh.replace(target)
    sync_folder(target.parent)


def _judge(target: Path, answers: Answers) -> None:
    """Drop the old copy if the new one answers, else bring it back."""
    kept = _kept(target)
    if answers(target):
        kept.unlink(missing_ok=True)
        return
    with disk_errors(target):
        if os.path.lexists(kept):
            kept.replace(target)
        else:
            target.unlink()
        sync_folder(target.parent)
    then = "put the old one back" if target.exists() else "removed it"
    raise PeerFault(
        f"The new {target.name} does not start or does not say the expected version, so Keyfob {then}",
        code="tool_broken",
    )


def _fresh(target: Path) -> Path:
    return target.with_name(f".{target.name}.keyfob-new")


def _kept(target: Path) -> Path:
    return target.with_name(f".{target.name}.keyfob-old")


def _mode(target: Path) -> int:
    """The old copy's rights, without any that would run it as somebody else."""
    try:
        return stat.S_IMODE(target.stat().st_mode) & 0o777 | 0o100
    except OSError:
        return 0o755


def _to_disk(path: Path) -> None:
    with path.open("rb+") as file:
        os.fsync(file.fileno())


@contextmanager
def disk_errors(target: Path) -> Iterator[None]:
    """Raises SettingWrong `disk_full` or `file_unwritable` for an OSError of the block."""
    try:
        yield
    except OSError as error:
        raise disk_error(error, target) from error


def remove_folder(folder: Path) -> None:
    """Delete a folder of Keyfob's own, if it is there. What cannot be deleted stays."""
    with suppress(OSError):
        shutil.rmtree(folder)
