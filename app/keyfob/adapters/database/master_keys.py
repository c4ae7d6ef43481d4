"""Where the master keys are that wrap a team's data keys: in a file, in the keychain, or behind a command
such as one that asks a key management service. They are never in the database.

A list of master keys is text, one key in base64 (32 bytes) on each line; the last one is the newest. A key's
id is made from the key. Several may be listed while they are replaced: see `data_keys.py`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import secrets
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from keyfob.core.errors import KeychainError
from keyfob.core.secret import Secret
from keyfob.ports import Vault
from keyfob.process.home import write_private

BYTES = 32
NONCE = 12
ENTRY = "server/master-keys"  # in the keychain
COMMAND_DEADLINE = 20.0  # seconds
COMMAND_ID = "command"
HEADER = (
    "# The master keys of a Keyfob server; the newest is last. Without them the secrets in its database\n"
    "# cannot be read: keep a copy in a safe place, and not with the database's backups.\n"
)


class MasterKeys(Protocol):
    """Thread-safe and blocking. Every call raises KeychainError `master_key_missing`, `master_key_wrong`."""

    def wrap(self, payload: bytes, context: bytes) -> Mapping[str, bytes]:
        """The payload under each master key, by the key's id. `context` is needed again to unwrap it."""

    def unwrap(self, wrapped: Mapping[str, bytes], context: bytes) -> bytes:
        """The payload, from the first wrapping whose master key is there."""

    def newest(self) -> str:
        """The id of the newest master key."""


class ListedKeys:
    """Master keys from a text that is read again when it is needed."""

    def __init__(self, read: Callable[[], Secret | None], place: str) -> None:
        """`place`: where they are, for messages."""
        self._read = read
        self._place = place
        self._known: dict[str, AESGCM] = {}

    def wrap(self, payload: bytes, context: bytes) -> Mapping[str, bytes]:
        """As `MasterKeys`."""
        made = {}
        for name, key in self._keys().items():
            nonce = secrets.token_bytes(NONCE)
            made[name] = nonce + key.encrypt(nonce, payload, context + name.encode())
        return made

    def unwrap(self, wrapped: Mapping[str, bytes], context: bytes) -> bytes:
        """As `MasterKeys`."""
        known = self._known
        if not any(name in known for name in wrapped):
            known = self._keys()
        for name, sealed in wrapped.items():
            if name not in known:
                continue
            try:
                return known[name].decrypt(sealed[:NONCE], sealed[NONCE:], context + name.encode())
            except InvalidTag:
                raise _damaged() from None
        needed = " or ".join(sorted(wrapped)) or "another one"
        raise KeychainError(
            f"{self._place} does not have the master key of this database: it needs {needed}, and there is "
            f"{', '.join(known)}",
            code="master_key_wrong",
        )

    def newest(self) -> str:
        """As `MasterKeys`."""
        return list(self._keys())[-1]

    def _keys(self) -> dict[str, AESGCM]:
        text = self._read()
        found = {key_id(key): AESGCM(key) for key in listed(text, self._place)}
        if not found:
            raise missing(f"{self._place} has no master key")
        self._known = found
        return found


class CommandKeys:
    """A command that wraps and unwraps. It is run with `wrap` or `unwrap` as its last argument, reads one
    line of base64 from stdin, and writes one line: what it made of it, in base64 for `unwrap`.
    """

    def __init__(self, command: Sequence[str]) -> None:
        self._command = list(command)

    def wrap(self, payload: bytes, context: bytes) -> Mapping[str, bytes]:
        """As `MasterKeys`. The command does not know the context, so it goes along."""
        whole = payload + hashlib.sha256(context).digest()
        return {COMMAND_ID: self._run("wrap", base64.b64encode(whole))}

    def unwrap(self, wrapped: Mapping[str, bytes], context: bytes) -> bytes:
        """As `MasterKeys`."""
        if COMMAND_ID not in wrapped:
            needed = " or ".join(sorted(wrapped))
            raise KeychainError(
                f"The database's keys were wrapped with {needed}, and not by the master key's command",
                code="master_key_wrong",
            )
        try:
            whole = base64.b64decode(self._run("unwrap", wrapped[COMMAND_ID]), validate=True)
        except binascii.Error:
            raise self._failed("its answer is not base64") from None
        payload, mark = whole[:-32], whole[-32:]
        if mark != hashlib.sha256(context).digest():
            raise _damaged()
        return payload

    def newest(self) -> str:
        """As `MasterKeys`. Which key it uses is the command's business."""
        return COMMAND_ID

    def _run(self, verb: str, line: bytes) -> bytes:
        try:
            done = subprocess.run(  # noqa: S603  (whoever runs the server says which command)
                [*self._command, verb],
                input=line + b"\n",
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                timeout=COMMAND_DEADLINE,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise self._failed(f"it did not end within {COMMAND_DEADLINE:.0f} seconds") from None
        except OSError as error:
            raise self._failed(str(error.strerror)) from None
        answer = done.stdout.strip()
        if done.returncode != 0 or not answer or len(answer) > 65_536 or b"\n" in answer:
            raise self._failed(f"exit {done.returncode}" if done.returncode else "no single line came back")
        return answer

    def _failed(self, why: str) -> KeychainError:
        return missing(f"The master key's command, {self._command[0]}, failed: {why}")


def new_key() -> bytes:
    """A random master key."""
    return secrets.token_bytes(BYTES)


def key_id(key: bytes) -> str:
    """A name for a master key, which says nothing about it."""
    return f"mk-{hashlib.sha256(b'keyfob master key' + key).hexdigest()[:8]}"


def listed(text: Secret | None, place: str) -> list[bytes]:
    """The keys of a list, the newest last. Raises KeychainError `master_key_wrong`."""
    if text is None:
        return []
    lines = [line.strip() for line in text.reveal().splitlines()]
    words = [word for line in lines if not line.startswith("#") for word in line.split()]
    try:
        keys = [base64.b64decode(word, validate=True) for word in words]
    except binascii.Error:
        keys = [b""]
    if any(len(key) != BYTES for key in keys):
        raise KeychainError(
            f"{place} is not a list of master keys, which have 32 bytes in base64", code="master_key_wrong"
        )
    return keys


class KeyFile:
    """A list of master keys in a file that only its owner may read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.place = str(path)

    def read(self) -> Secret | None:
        """None if there is no such file. Raises KeychainError `master_key_missing`."""
        try:
            with self.path.open("rb") as stream:
                if sys.platform != "win32" and os.fstat(stream.fileno()).st_mode & 0o077:
                    raise KeychainError(
                        f"Other users can read the master key in {self.path}",
                        code="master_key_exposed",
                        facts={"path": str(self.path)},
                    )
                return Secret(stream.read(1 << 20).decode())
        except FileNotFoundError:
            return None
        except (OSError, UnicodeDecodeError) as error:
            why = getattr(error, "strerror", None) or "it is not text"
            raise missing(f"The master key in {self.path} cannot be read: {why}") from None

    def write(self, keys: Sequence[bytes]) -> None:
        """Replace the list. The file is complete or as it was. Raises KeychainError `vault_unwritable`."""
        text = HEADER + "".join(f"{base64.b64encode(key).decode()}\n" for key in keys)
        try:
            write_private(self.path, text.encode())
        except OSError as error:
            raise KeychainError(
                f"{self.path} cannot be written: {error.strerror}", code="vault_unwritable"
            ) from None


class KeychainEntry:
    """A list of master keys in the keychain of the server's own user."""

    place = "The keychain"

    def __init__(self, vault: Callable[[], Vault]) -> None:
        """`vault` is called each time, when the list is needed."""
        self._vault = vault

    def read(self) -> Secret | None:
        """None if the keychain has none. Raises KeychainError, SettingWrong."""
        return self._vault().load(ENTRY)

    def write(self, keys: Sequence[bytes]) -> None:
        """Replace the list. Raises KeychainError."""
        self._vault().save(ENTRY, Secret(" ".join(base64.b64encode(key).decode() for key in keys)))


def missing(message: str) -> KeychainError:
    """The error for a master key that is not there or cannot be had now."""
    return KeychainError(message, code="master_key_missing")


def _damaged() -> KeychainError:
    return KeychainError("A data key in the database is damaged, or another tenant's", code="entry_damaged")
