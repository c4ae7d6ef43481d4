"""The change to a new version of a bundle: fetched, verified, unpacked, started once, then used by one step.

Until that step the running version is whole whatever happens, and after it the start script goes back by
itself if the new one does not start (`bundle`). One process at a time; the caller holds the lock. Blocks.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from keyfob.core.errors import Fault, KeyfobError
from keyfob.core.text import plain
from keyfob.ports import StreamingTransport
from keyfob.process.own_process import child_environment
from keyfob.updates.bundle import Bundle
from keyfob.updates.download import Progress, download
from keyfob.updates.part_file import disk_error
from keyfob.updates.reading import check
from keyfob.updates.trusted import Archive
from keyfob.updates.unpack import unpack
from keyfob.updates.versions import normalised

Stage = Literal["downloading", "unpacking", "trying", "done"]
START_WITHIN = 60.0  # s for `keyfob --version` of the new version, on a slow disk that has just been written


@dataclass(frozen=True)
class Watcher:
    """Who is shown how far it is. Called on the thread that works."""

    stage: Callable[[Stage], None] = lambda _: None
    progress: Callable[[Progress], None] = lambda _: None


def change_to(
    archive: Archive,
    bundle: Bundle,
    folder: Path,
    *,
    hosts: tuple[str, ...],
    watcher: Watcher,
    cancelled: threading.Event,
    transport: StreamingTransport | None = None,
) -> None:
    """Put `archive` in use from the next start on. `folder` keeps the download, which continues another time.

    Raises what `download` raises, Fault `update_broken`, SettingWrong `disk_full` and `file_unwritable`, and
    SignInEnded `cancelled`. Then the version in use is the same as before.
    """
    try:
        bundle.tidy()
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _drop_others(folder, archive.name)
        watcher.stage("downloading")
        path = download(
            archive.url,
            folder / archive.name,
            allowed_hosts=hosts,
            expected_size=archive.size,
            sha256=archive.sha256,
            progress=watcher.progress,
            cancelled=cancelled,
            transport=transport,
        )
        watcher.stage("unpacking")
        staged = bundle.staging(archive.version)
        try:
            unpack(path, archive.version, staged, lambda: check(cancelled))
            watcher.stage("trying")
            _try(staged / "keyfob", archive.version)
            check(cancelled)
            bundle.adopt(staged, archive.version)
        finally:
            shutil.rmtree(staged, ignore_errors=True)
        bundle.switch(archive.version)
        bundle.forget_failure()
        path.unlink(missing_ok=True)
        bundle.tidy()
        watcher.stage("done")
    except KeyfobError:
        raise
    except OSError as error:
        raise disk_error(error, bundle.root / "versions" / archive.version) from error


def _drop_others(folder: Path, name: str) -> None:
    """Remove what was downloaded of other versions."""
    for each in folder.iterdir():
        if not each.name.startswith(name):
            with suppress(OSError):
                each.unlink()


def _try(program: Path, version: str) -> None:
    """Raises Fault `update_broken` unless the program starts here and says that it is `version`."""
    environment = child_environment(os.environ) | {"PYINSTALLER_RESET_ENVIRONMENT": "1"}
    try:
        done = subprocess.run(  # noqa: S603  (our own program, no shell)
            [program, "--version"],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=START_WITHIN,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        reason = error.strerror if isinstance(error, OSError) else "it did not answer in time"
        raise _does_not_start(version, str(reason)) from error
    said = done.stdout.decode("utf-8", "replace")
    if done.returncode != 0:
        raise _does_not_start(version, done.stderr.decode("utf-8", "replace"))
    if normalised(said) != normalised(version):
        raise _does_not_start(version, f"it says {said}")


def _does_not_start(version: str, reason: str) -> Fault:
    return Fault(
        f"Version {plain(version, 40)} does not start on this computer",
        code="update_broken",
        detail=plain(reason, 500),
    )
