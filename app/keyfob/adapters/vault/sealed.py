"""A file that is encrypted under a passphrase, for machines without a keychain: the setting `vault = sealed`.

AES-256-GCM under a key that Argon2id (RFC 9106) derives from the passphrase. The file is replaced as a whole
and is on disk before a call returns, 0600. Writers in several processes take turns by a lock file. Only if
the user chose it; never a fallback.

    keyfob sealed vault 1
    {"kdf": "argon2id", "salt": …, "iterations": …, "lanes": …, "memory_kib": …, "check": …}
    SHA-256 over the header and the body
    nonce (12 bytes), ciphertext and tag

The checksum detects a damaged file before any passphrase is tried. `check` is derived next to the key and
reveals nothing about it. It distinguishes a wrong passphrase from a right one whose file was changed.
"""

from __future__ import annotations

import errno
import hashlib
import hmac
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from keyfob.adapters.vault.entries import EntryVault
from keyfob.adapters.vault.passphrase import Ask, ask_nowhere
from keyfob.core.errors import KeychainError
from keyfob.core.secret import Secret
from keyfob.process.home import make_private, write_private

_MAGIC = b"keyfob sealed vault 1\n"
_NONCE = 12
# Seconds for another process to finish its write: a few milliseconds' work, on a slow disk.
LOCK_TIME = 10.0


@dataclass(frozen=True, slots=True)
class Cost:
    """What a guess at the passphrase costs. RFC 9106 §4, second recommendation: 64 MiB, three passes."""

    iterations: int = 3
    lanes: int = 4
    memory_kib: int = 65_536

    def bearable(self) -> bool:
        """Whether a file may ask this of us: a crafted header must not eat the machine."""
        return 1 <= self.iterations <= 64 and 1 <= self.lanes <= 64 and 32 <= self.memory_kib <= 1 << 20


@dataclass(frozen=True, slots=True)
class _Header:
    salt: bytes
    cost: Cost
    check: bytes

    def line(self) -> bytes:
        body = {"kdf": "argon2id", "salt": self.salt.hex(), **asdict(self.cost), "check": self.check.hex()}
        return json.dumps(body).encode() + b"\n"


# The disk's own no, which no keychain's prompt can change: full, over quota, read-only, broken.
_DISK = frozenset(
    getattr(errno, name) for name in ("ENOSPC", "EDQUOT", "EROFS", "EIO", "EFBIG") if hasattr(errno, name)
)


class SealedVault(EntryVault):
    """A `ports.Vault` in the file `path`. `ask` gives the passphrase, at most once for each key it must make;
    the key stays in memory. Thread-safe, and safe across processes.

    Raises KeychainError `keychain_locked` (no passphrase available), `passphrase_wrong`, `vault_damaged`,
    `keychain_timeout` (another process holds the lock), `vault_unwritable` (a full or read-only disk),
    `keychain_refused` (the file's modes).
    """

    def __init__(
        self, home_id: str, path: Path, ask: Ask, *, cost: Cost | None = None, lock_time: float = LOCK_TIME
    ) -> None:
        """`lock_time`: seconds to wait for another process that writes."""
        self._file = _SealedEntries(path, ask, cost or Cost(), lock_time)
        super().__init__(home_id, self._file)

    @property
    def is_open(self) -> bool:
        """Whether the key is in memory."""
        return self._file.is_open

    def exists(self) -> bool:
        """Whether there is a file yet."""
        return self._file.exists()

    def open_with(self, passphrase: Secret) -> None:
        """Open the file with what the user typed, or make it if there is none yet. Its key is kept in memory,
        and the passphrase is not. Raises KeychainError `passphrase_wrong`, `vault_damaged` and what a write
        raises. Blocks for about the time of one guess.
        """
        with self._lock:
            self._file.open_with(passphrase)

    def close(self) -> None:
        """Forget the key, and where the passphrase came from: only `open` opens the file again."""
        with self._lock:
            self._file.forget()


class _SealedEntries:
    title = "encrypted file"
    persistent = True
    limit = None

    def __init__(self, path: Path, ask: Ask, cost: Cost, lock_time: float) -> None:
        self._path = path
        self._ask = ask
        self._cost = cost
        self._lock_time = lock_time
        self._keys: dict[tuple[bytes, Cost], tuple[bytes, bytes]] = {}

    @property
    def is_open(self) -> bool:
        return bool(self._keys)

    def exists(self) -> bool:
        return self._path.exists()

    def open_with(self, passphrase: Secret) -> None:
        with _file_errors():
            found = self._parse()
            if found is None:
                header = self._new_header(passphrase)
                with self._only_writer():
                    found = self._parse()  # another process may have been faster
                    if found is None:
                        self._write(header, self._keys[header.salt, header.cost][0], {})
                        return
            header, body = found
            before = self._keys.get((header.salt, header.cost))
            self._keys[header.salt, header.cost] = _derive(passphrase, header.salt, header.cost)
            try:
                self._open(header, body)
            except KeychainError:
                if before is not None:
                    self._keys[header.salt, header.cost] = before  # a wrong passphrase closes nothing
                raise

    def forget(self) -> None:
        self._keys.clear()
        self._ask = ask_nowhere

    def get(self, name: str) -> str | None:
        with _file_errors():
            found = self._parse()
            return None if found is None else self._open(*found).get(name)

    def put(self, name: str, text: str) -> None:
        self._change(lambda entries: entries.__setitem__(name, text))

    def drop(self, name: str) -> None:
        with _file_errors():
            if self._path.exists():
                self._change(lambda entries: entries.pop(name, None))

    def names(self, prefix: str) -> list[str]:
        with _file_errors():
            found = self._parse()
            return [] if found is None else [name for name in self._open(*found) if name.startswith(prefix)]

    def _change(self, change: Callable[[dict[str, str]], object]) -> None:
        with _file_errors():
            # The passphrase is asked for before the lock is taken: a user must not hold up other processes.
            found = self._parse()
            header = found[0] if found else self._new_header(self._ask(True))
            key, _ = self._key(header)
            with self._only_writer():
                found = self._parse()
                entries: dict[str, str] = {}
                if found is not None:
                    header = found[0]
                    key, _ = self._key(header)
                    entries = self._open(*found)
                change(entries)
                self._write(header, key, entries)

    # --- the file -------------------------------------------------------------------------------------------

    def _only_writer(self) -> FileLock:
        """Held while the file is replaced."""
        lock = self._path.with_name(self._path.name + ".lock")
        make_private(lock)
        return FileLock(
            lock, timeout=self._lock_time, mode=0o600, preserve_lock_file=True, fallback_to_soft=False
        )

    def _parse(self) -> tuple[_Header, bytes] | None:
        """Header and body of the file, None if there is none yet."""
        try:
            data = self._path.read_bytes()
        except FileNotFoundError:
            return None
        if not data.startswith(_MAGIC):
            raise _damaged("is not a file that this version of Keyfob can read")
        line, _, rest = data[len(_MAGIC) :].partition(b"\n")
        total, _, body = rest.partition(b"\n")
        if hashlib.sha256(line + b"\n" + body).hexdigest().encode() != total:
            raise _damaged("is damaged")
        try:
            fields = json.loads(line)
            cost = Cost(*(int(fields[name]) for name in ("iterations", "lanes", "memory_kib")))
            header = _Header(bytes.fromhex(fields["salt"]), cost, bytes.fromhex(fields["check"]))
        except (ValueError, KeyError, TypeError):
            raise _damaged("is damaged") from None
        if fields.get("kdf") != "argon2id" or not cost.bearable():
            raise _damaged("uses a key derivation that Keyfob does not support")
        return header, body

    def _open(self, header: _Header, body: bytes) -> dict[str, str]:
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        key, check = self._key(header)
        if not hmac.compare_digest(check, header.check):
            self._keys.pop((header.salt, header.cost), None)
            raise KeychainError("The passphrase is wrong", code="passphrase_wrong")
        try:
            text = AESGCM(key).decrypt(body[:_NONCE], body[_NONCE:], _MAGIC + header.line())
        except (InvalidTag, ValueError):
            raise _damaged("has been tampered with") from None
        entries: dict[str, str] = json.loads(text)
        return entries

    def _write(self, header: _Header, key: bytes, entries: Mapping[str, str]) -> None:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = os.urandom(_NONCE)
        text = json.dumps(entries, separators=(",", ":")).encode()
        body = nonce + AESGCM(key).encrypt(nonce, text, _MAGIC + header.line())
        total = hashlib.sha256(header.line() + body).hexdigest().encode()
        write_private(self._path, _MAGIC + header.line() + total + b"\n" + body)

    # --- the key --------------------------------------------------------------------------------------------

    def _new_header(self, passphrase: Secret) -> _Header:
        salt = os.urandom(16)
        made = _derive(passphrase, salt, self._cost)
        self._keys[salt, self._cost] = made
        return _Header(salt, self._cost, made[1])

    def _key(self, header: _Header) -> tuple[bytes, bytes]:
        known = self._keys.get((header.salt, header.cost))
        if known is None:
            known = _derive(self._ask(False), header.salt, header.cost)
            self._keys[header.salt, header.cost] = known
        return known


def _derive(passphrase: Secret, salt: bytes, cost: Cost) -> tuple[bytes, bytes]:
    """The file's key, and the check for the right passphrase: two halves of one derivation, and neither
    reveals the other.
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

    if not passphrase:
        raise KeychainError("The passphrase is empty", code="passphrase_wrong")
    try:
        made = Argon2id(
            salt=salt, length=48, iterations=cost.iterations, lanes=cost.lanes, memory_cost=cost.memory_kib
        ).derive(passphrase.reveal().encode())
    except UnsupportedAlgorithm:
        raise KeychainError(
            "This system's OpenSSL does not support Argon2id",
            code="argon2_missing",
        ) from None
    return made[:32], made[32:]


def _damaged(what: str) -> KeychainError:
    return KeychainError(f"The encrypted file {what}", code="vault_damaged")


@contextmanager
def _file_errors() -> Iterator[None]:
    try:
        yield
    except Timeout:
        raise KeychainError("Another program is using the encrypted file", code="keychain_timeout") from None
    except OSError as error:
        raise KeychainError(
            f"Keyfob cannot use the encrypted file: {error.strerror}",
            code="vault_unwritable" if error.errno in _DISK else "keychain_refused",
        ) from None
