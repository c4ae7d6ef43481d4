"""A TUF repository of Keyfob's archives, as files: for `build/tuf-repository` and the tests.

    REPOSITORY/metadata/1.root.json, 2.root.json, ..., N.targets.json, N.snapshot.json, timestamp.json
    REPOSITORY/targets/<sha256>.<archive>
    KEYS/root-1.pem, root-2.pem, root-3.pem, targets-1.pem, snapshot-1.pem, timestamp-1.pem

Clients read the files in the order timestamp, snapshot, targets, so they are written the other way round.
Whoever copies the repository to a server does the same, timestamp.json last. Old roots stay for ever: a
client with an old root follows them one by one.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from shutil import copyfile
from typing import Any

from cryptography.hazmat.primitives.serialization import load_pem_private_key
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Metadata, MetaFile, Root, Snapshot, TargetFile, Targets, Timestamp
from tuf.api.serialization.json import JSONSerializer

ROLES = ("root", "targets", "snapshot", "timestamp")
# How long what is signed stays valid. A client refuses what has expired, so the short ones must be signed
# again before that, whether or not there is a new version: that is what makes a freeze show.
DAYS = {"root": 365, "targets": 365, "snapshot": 14, "timestamp": 14}
PRETTY = JSONSerializer(compact=False)


class Keys:
    """Private keys in folders, by role. Files are 0600, and never belong into a repository."""

    def __init__(self, *folders: Path) -> None:
        self.folders = folders

    def make(self, role: str) -> CryptoSigner:
        """A new key, saved in the first folder."""
        folder = self.folders[0]
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        number = 1
        while (path := folder / f"{role}-{number}.pem").exists():
            number += 1
        signer = CryptoSigner.generate_ed25519()
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(signer.private_bytes)
        return signer

    def of(self, role: str) -> list[CryptoSigner]:
        found = sorted(path for folder in self.folders for path in folder.glob(f"{role}-*.pem"))
        return [CryptoSigner(load_pem_private_key(path.read_bytes(), None)) for path in found]


class Repository:
    """The files of one repository. `now` is for tests."""

    def __init__(self, folder: Path, keys: Keys, now: datetime | None = None) -> None:
        self.metadata = folder / "metadata"
        self.targets = folder / "targets"
        self.keys = keys
        self._now = now or datetime.now(UTC).replace(microsecond=0)

    def init(self, *, root_keys: int = 3, threshold: int = 2) -> None:
        """Keys for all roles, and the first metadata. Raises FileExistsError if there is some already."""
        if self.metadata.exists():
            raise FileExistsError(f"{self.metadata} is there already")
        self.metadata.mkdir(parents=True)
        self.targets.mkdir(parents=True, exist_ok=True)
        root = Root(consistent_snapshot=True)
        for role in ROLES:
            for _ in range(root_keys if role == "root" else 1):
                root.add_key(self.keys.make(role).public_key, role)
        root.roles["root"].threshold = threshold
        self._save_root(root)
        self.publish(Targets(), first=True)

    def add(self, archive: Path, *, version: str, system: str, machine: str, notes: str = "") -> str:
        """Add an archive as the version for a system, and return its name."""
        name = f"keyfob-{version}-{system}-{machine}.tar.gz"
        target = TargetFile.from_file(name, str(archive), ["sha256"])
        target.unrecognized_fields["custom"] = {
            "version": version, "os": system, "arch": machine, "notes": notes,
        }  # fmt: skip
        digest = sha256(archive.read_bytes()).hexdigest()
        copyfile(archive, self.targets / f"{digest}.{name}")
        targets = self.latest("targets")
        targets.targets[name] = target
        self.publish(targets)
        return name

    def withdraw(self, name: str) -> None:
        """Take a version out of the metadata. Its file stays, for clients that are downloading it."""
        targets = self.latest("targets")
        del targets.targets[name]
        self.publish(targets)

    def sign(self, roles: Iterable[str] = ("timestamp",)) -> None:
        """Sign again what expires. `roles`: timestamp; snapshot, which signs timestamp too; targets, which
        signs both; root.
        """
        for role in roles:
            if role == "root":
                self._save_root(self.latest("root"))
            elif role == "targets":
                self.publish(self.latest("targets"))
            elif role == "snapshot":
                self._publish_snapshot(self.latest("snapshot").meta["targets.json"].version)
            else:
                self._publish_timestamp(self.latest("snapshot").version)

    def replace_key(self, role: str, keyid: str) -> CryptoSigner:
        """A new key for `role` in the place of one that was lost or became known, in a new root. What the
        role has signed is signed anew with the keys that it has now.
        """
        root: Root = self.latest("root")
        root.revoke_key(keyid, role)
        made = self.keys.make(role)
        root.add_key(made.public_key, role)
        self._save_root(root)
        if role != "root":
            self.sign(("targets",))
        return made

    # --- writing ---

    def publish(self, targets: Targets, *, first: bool = False) -> None:
        if not first:
            targets.version += 1
        self._save(targets, f"{targets.version}.targets.json", "targets")
        self._publish_snapshot(targets.version, first=first)

    def _publish_snapshot(self, targets_version: int, *, first: bool = False) -> None:
        snapshot = Snapshot() if first else self.latest("snapshot")
        if not first:
            snapshot.version += 1
        snapshot.meta["targets.json"] = MetaFile(targets_version)
        self._save(snapshot, f"{snapshot.version}.snapshot.json", "snapshot")
        self._publish_timestamp(snapshot.version, first=first)

    def _publish_timestamp(self, snapshot_version: int, *, first: bool = False) -> None:
        timestamp = Timestamp() if first else self.latest("timestamp")
        if not first:
            timestamp.version += 1
        timestamp.snapshot_meta = MetaFile(snapshot_version)
        self._save(timestamp, "timestamp.json", "timestamp")

    def _save_root(self, root: Root) -> None:
        """Signed by the keys of the root before it and by its own: clients ask for both thresholds."""
        before = self._roots()
        if before:
            root.version = before[-1].version + 1
        keyids = {keyid for each in (*before[-1:], root) for keyid in each.roles["root"].keyids}
        self._save(root, f"{root.version}.root.json", "root", keyids)

    def _save(self, signed: Any, name: str, role: str, keyids: set[str] | None = None) -> None:
        signed.expires = self._now + timedelta(days=DAYS[role])
        metadata = Metadata(signed)
        wanted = keyids if keyids is not None else set(self._roots()[-1].roles[role].keyids)
        signers = [each for each in self.keys.of(role) if each.public_key.keyid in wanted]
        for signer in signers:
            metadata.sign(signer, append=True)
        root = signed if role == "root" else self._roots()[-1]
        if len(signers) < root.roles[role].threshold:
            raise PermissionError(f"too few keys for {role}: {len(signers)} of {root.roles[role].threshold}")
        temporary = self.metadata / f".{name}"
        metadata.to_file(str(temporary), PRETTY)
        temporary.replace(self.metadata / name)

    # --- reading ---

    def _roots(self) -> list[Root]:
        paths = sorted(self.metadata.glob("*.root.json"), key=_number)
        return [Metadata[Root].from_file(str(path)).signed for path in paths]

    def latest(self, role: str) -> Any:
        paths = sorted(self.metadata.glob(f"*.{role}.json"), key=_number)
        path = paths[-1] if paths else self.metadata / f"{role}.json"
        return Metadata[Any].from_bytes(path.read_bytes()).signed

    def current_root(self) -> bytes:
        """The newest root's file, for builds to embed."""
        return sorted(self.metadata.glob("*.root.json"), key=_number)[-1].read_bytes()


def _number(path: Path) -> int:
    return int(path.name.partition(".")[0])
