"""Where the master keys come from that wrap a tenant's data keys: a file, the keychain, or a command.

A key's id is public: a hash of it. The first key wraps; the others still open what they wrapped, until a
rotation has wrapped everything anew.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

from keyfob.adapters.database.sealing import KEY_BYTES, NotOpenedError, new_key, seal, unseal
from keyfob.core.errors import KeychainError, SettingWrong
from keyfob.core.secret import Secret
from keyfob.ports import Vault

ENTRY = "database/master-keys"
COMMAND_TIMEOUT = 20.0  # seconds
FILE_MOST = 64 << 10  # bytes
_LINE = re.compile(r"[0-9a-f]{64}")


class MasterKeys(Protocol):
    """Wraps and unwraps data keys. Thread-safe. Raises KeychainError if it cannot now."""

    def wrap(self, key: bytes, tenant: str, key_id: str) -> tuple[str, bytes]:
        """The master key's id, and the wrapped data key."""

    def unwrap(self, wrapped: bytes, master_id: str, tenant: str, key_id: str) -> bytes:
        """Raises KeychainError `keychain_refused` if no master key fits."""

    @property
    def current(self) -> str:
        """The id of the key that wraps."""


def id_of(key: bytes) -> str:
    """The public name of a master key."""
    return hashlib.sha256(b"keyfob master key\0" + key).hexdigest()[:16]


class KeyList(Protocol):
    """Where this process may read master keys. The first wraps."""

    def read(self) -> list[bytes]:
        """At least one. Raises SettingWrong, KeychainError."""

    def write(self, keys: Sequence[bytes]) -> None:
        """All of them, in one step. Raises SettingWrong, KeychainError."""


class KeptMasterKeys:
    """Master keys of a list, which is read for each use: a changed file is in force at once."""

    def __init__(self, keys: KeyList) -> None:
        """Raises as `KeyList.read`."""
        self._keys = keys
        keys.read()

    @property
    def current(self) -> str:
        """As `MasterKeys` says."""
        return id_of(self._keys.read()[0])

    def wrap(self, key: bytes, tenant: str, key_id: str) -> tuple[str, bytes]:
        """As `MasterKeys` says."""
        first = self._keys.read()[0]
        name = id_of(first)
        return name, seal(first, key, "data-key", tenant, key_id, name)

    def unwrap(self, wrapped: bytes, master_id: str, tenant: str, key_id: str) -> bytes:
        """As `MasterKeys` says."""
        for one in self._keys.read():
            if id_of(one) == master_id:
                with suppress(NotOpenedError):
                    return unseal(one, wrapped, "data-key", tenant, key_id, master_id)
        raise KeychainError(
            f"The secrets of this database need the master key {master_id}, which is not here",
            code="keychain_refused",
            remedy="Put the key back into the file or keychain that it was in",
        )


def add_key(keys: KeyList) -> str:
    """Puts a new key last, so it wraps nothing yet: first every server must have it. Returns its id."""
    made = new_key()
    keys.write([*keys.read(), made])
    return id_of(made)


def use_newest(keys: KeyList) -> str:
    """Puts the last key first, so it wraps from now on; makes one if there is one alone. Returns its id."""
    found = keys.read()
    if len(found) == 1:
        found.append(new_key())
    keys.write([found[-1], *found[:-1]])
    return id_of(found[-1])


class FileKeys:
    """One key a line, as 64 hexadecimal digits; `#` begins a comment. Readable by its owner alone."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def create(self) -> str:
        """Makes the file with one key. Returns the key's id. Raises SettingWrong if it is there already."""
        made = new_key()
        try:
            handle = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        except FileExistsError:
            raise SettingWrong(f"{self._path} is there already. It stays as it is") from None
        except OSError as error:
            raise SettingWrong(f"{self._path} cannot be made: {error.strerror}") from None
        _write_lines(handle, [made])
        return id_of(made)

    def read(self) -> list[bytes]:
        """As `KeyList` says."""
        try:
            with self._path.open("rb") as file:
                about = os.fstat(file.fileno())
                if sys.platform != "win32" and about.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                    raise SettingWrong(
                        f"Other users can read {self._path}", remedy=f"Run: chmod 600 {self._path}"
                    )
                lines = file.read(FILE_MOST).decode("ascii", "replace").splitlines()
        except OSError as error:
            raise KeychainError(
                f"The file with the master key cannot be read: {error.strerror}", code="keychain_absent"
            ) from None
        return _keys([line.partition("#")[0].strip() for line in lines], str(self._path))

    def write(self, keys: Sequence[bytes]) -> None:
        """As `KeyList` says."""
        fresh = self._path.with_name(self._path.name + ".new")
        try:
            fresh.unlink(missing_ok=True)
            _write_lines(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), keys)
            fresh.replace(self._path)
        except OSError as error:
            raise SettingWrong(f"{self._path} cannot be written: {error.strerror}") from None


class VaultKeys:
    """In the keychain of who runs the server; made there if there are none."""

    def __init__(self, vault: Vault) -> None:
        """Raises KeychainError."""
        self._vault = vault
        if vault.load(ENTRY) is None:
            self.write([new_key()])

    def read(self) -> list[bytes]:
        """As `KeyList` says."""
        return _keys((self._vault.load(ENTRY) or Secret("")).reveal().split(), "The keychain")

    def write(self, keys: Sequence[bytes]) -> None:
        """As `KeyList` says."""
        self._vault.save(ENTRY, Secret(" ".join(key.hex() for key in keys)))


class CommandMasterKeys:
    """A command that wraps and unwraps, such as one that asks a key management service.

    It gets one line of JSON on stdin: `action` (wrap or unwrap), `key` (hex), `context` and `master_id` (null
    to wrap). It prints one with `key` (hex) and `master_id`. The master key never enters this process.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._command = list(command)
        self._current = ""

    @property
    def current(self) -> str:
        """What the command said last; wraps a throw-away key if it was not asked yet."""
        if not self._current:
            self.wrap(new_key(), "", "probe")
        return self._current

    def wrap(self, key: bytes, tenant: str, key_id: str) -> tuple[str, bytes]:
        """As `MasterKeys` says."""
        wrapped, self._current = self._ask("wrap", key, f"{tenant}/{key_id}", None)
        return self._current, wrapped

    def unwrap(self, wrapped: bytes, master_id: str, tenant: str, key_id: str) -> bytes:
        """As `MasterKeys` says."""
        key, _ = self._ask("unwrap", wrapped, f"{tenant}/{key_id}", master_id)
        if len(key) != KEY_BYTES:
            raise self._failed("it printed no key of 32 bytes")
        return key

    def _ask(self, action: str, key: bytes, context: str, master_id: str | None) -> tuple[bytes, str]:
        asked = {"action": action, "key": key.hex(), "context": context, "master_id": master_id}
        try:
            done = subprocess.run(  # noqa: S603  (the administrator's own command, without a shell)
                self._command,
                input=json.dumps(asked) + "\n",
                capture_output=True,
                text=True,
                timeout=COMMAND_TIMEOUT,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise self._failed(f"it took more than {COMMAND_TIMEOUT:.0f} s") from None
        except OSError as error:
            raise self._failed(error.strerror or "it cannot be run") from None
        if done.returncode != 0:
            raise self._failed(f"it ended with exit code {done.returncode}")
        try:
            answer = json.loads(done.stdout)
            return bytes.fromhex(answer["key"]), str(answer["master_id"])[:64]
        except (ValueError, KeyError, TypeError):
            raise self._failed("it printed no JSON with key and master_id") from None

    def _failed(self, why: str) -> KeychainError:
        return KeychainError(f"The command for the master key failed: {why}", code="keychain_refused")


def _write_lines(handle: int, keys: Sequence[bytes]) -> None:
    with os.fdopen(handle, "w") as file:
        file.writelines(f"{key.hex()}\n" for key in keys)
        file.flush()
        os.fsync(file.fileno())


def _keys(words: Sequence[str], where: str) -> list[bytes]:
    found = [word for word in words if word]
    if not found or not all(_LINE.fullmatch(word) for word in found):
        raise SettingWrong(f"{where} does not have one master key a line, as 64 hexadecimal digits")
    return [bytes.fromhex(word) for word in found]
