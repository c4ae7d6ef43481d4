"""The newest version in a TUF repository, by python-tuf: signed, never older than one that was seen before,
and never withheld for longer than its metadata is valid.

Trust begins with the root that this build came with, so a damaged cache cannot add any. The cache keeps the
metadata that was seen last, which is what makes a rollback show. One process at a time uses it. Blocks.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from filelock import FileLock, Timeout

from keyfob.core.errors import KeyfobError, PeerFault, Transient
from keyfob.core.text import inert, plain
from keyfob.updates.download import system_transport
from keyfob.updates.part_file import disk_error
from keyfob.updates.reading import host_of
from keyfob.updates.source import Source
from keyfob.updates.versions import newer, parsed

if TYPE_CHECKING:
    from tuf.api.metadata import TargetFile, Targets

    from keyfob.ports import StreamingTransport

log = logging.getLogger(__name__)
NOTES_MOST = 100_000  # characters
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,150}\.tar\.gz\Z")


@dataclass(frozen=True, slots=True)
class Archive:
    """A version that can be installed here. `size` in bytes, `sha256` in hex; both are signed."""

    version: str
    name: str
    url: str
    size: int
    sha256: str
    notes: str


class TrustedUpdates:
    """Thread-safe."""

    def __init__(
        self,
        source: Source,
        folder: Path,
        *,
        system: str,
        machine: str,
        transport: StreamingTransport | None = None,
    ) -> None:
        """`folder`: for the metadata. `system` and `machine`: as targets name them (linux, x86_64).
        `transport`: by default the system's.
        """
        assert source.signed
        self._source = source
        self._folder = folder
        self._fits = (system, machine)
        self._transport = transport

    def newest(self, *, pre: bool = False, cancelled: Event | None = None) -> Archive | None:
        """The newest version for this system; None if the repository has none.

        Raises Transient (`network_unreachable`, `network_timeout`, `captive_portal`, `provider_unavailable`,
        `update_running`), PeerFault (`update_untrusted`, `update_expired`), SettingWrong (`disk_full`,
        `file_unwritable`, `tls_untrusted`), SignInEnded `cancelled`.
        """
        with self._alone():
            targets, prefixed = self._refreshed(cancelled or Event())
        best: Archive | None = None
        for name, target in sorted(targets.targets.items()):
            found = self._archive(name, target, prefixed)
            version = None if found is None else parsed(found.version)
            if found is None or version is None or (version.prerelease and not pre):
                continue
            if best is None or newer(version, best.version):
                best = found
        return best

    @contextmanager
    def _alone(self) -> Iterator[None]:
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            lock = FileLock(self._folder / "lock", mode=0o600, blocking=False)
            with lock:
                yield
        except Timeout:
            raise Transient("Another Keyfob is looking for updates", code="update_running") from None
        except KeyfobError:
            raise
        except OSError as error:
            raise disk_error(error, self._folder / "metadata") from error

    def _refreshed(self, cancelled: Event) -> tuple[Targets, bool]:
        from tuf.api.exceptions import DownloadError, ExpiredMetadataError, RepositoryError
        from tuf.api.metadata import Metadata, Root, Targets
        from tuf.ngclient import Updater

        from keyfob.updates.metadata_fetcher import MetadataFetcher

        metadata = self._source.metadata or ""
        host = host_of(metadata)
        folder = self._folder / "metadata"
        folder.mkdir(mode=0o700, exist_ok=True)
        # Its warnings are about what is raised here; its debug lines name addresses.
        logging.getLogger("tuf").setLevel(logging.ERROR)
        try:
            updater = Updater(
                str(folder),
                metadata,
                fetcher=MetadataFetcher(self._transport or system_transport(), metadata, cancelled),
                bootstrap=self._source.root,
            )
            updater.refresh()
            # What `refresh` has verified a moment ago is in these files; the lock keeps others away.
            targets = Metadata[Targets].from_file(str(folder / "targets.json")).signed
            root = Metadata[Root].from_file(str(folder / "root.json")).signed
        except ExpiredMetadataError as error:
            log.info("updates: %s", plain(error))
            raise PeerFault(
                f"The update information from {host} has expired, so a newer version may be withheld",
                code="update_expired",
                facts={"server": host},
            ) from error
        except RepositoryError as error:
            log.info("updates: %s", plain(error))
            raise PeerFault(
                f"The update information from {host} cannot be trusted",
                code="update_untrusted",
                detail=plain(error),
                facts={"server": host},
            ) from error
        except DownloadError as error:
            raise Transient(
                f"{host} does not give its update information", detail=plain(error), answered=True
            ) from error
        return targets, bool(root.consistent_snapshot)

    def _archive(self, name: str, target: TargetFile, prefixed: bool) -> Archive | None:
        """The target, if it is an archive of the app for this system."""
        custom: dict[str, Any] = target.custom if isinstance(target.custom, dict) else {}
        version, sha256, notes = custom.get("version"), target.hashes.get("sha256"), custom.get("notes", "")
        if (custom.get("os"), custom.get("arch")) != self._fits or not _NAME.match(name):
            return None
        if not isinstance(version, str) or parsed(version) is None or not isinstance(sha256, str):
            return None
        base = (self._source.targets or "").rstrip("/")
        path = f"{sha256}.{name}" if prefixed else name
        lines = (notes if isinstance(notes, str) else "")[:NOTES_MOST].splitlines()
        return Archive(
            version, name, f"{base}/{quote(path)}", target.length, sha256, "\n".join(map(inert, lines))
        )
