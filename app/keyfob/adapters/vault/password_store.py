"""`pass`, the standard Unix password manager, as a vault. Only if the user chose it; never a fallback.

Entries are under `keyfob/<home id>/` in the user's password store, one file each, encrypted by GnuPG. Values
go through pipes only; an argument contains only an entry's name. Each call of the program ends within
`deadline` seconds, with all processes that it started, or is killed.

GnuPG's agent asks for the passphrase of the user's key. Keyfob never sees it.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from keyfob.adapters.vault.entries import EntryVault
from keyfob.core.errors import KeychainError
from keyfob.process.own_process import child_environment, find_program

# Seconds. GnuPG's agent may ask the user for a passphrase in the meantime.
DEADLINE = 60.0
# GnuPG's status lines, and its one message without any, for a file that is not a whole message: a writer was
# killed while it wrote. DECRYPTION_KEY says that the key was available, so what failed afterwards is the
# file.
_TORN = (b"[gnupg:] nodata", b"[gnupg:] badmdc", b"[gnupg:] decryption_key", b"decrypt_message failed")
_ASKED_IN_VAIN = (b"pinentry", b"inappropriate ioctl", b"operation cancelled", b"timeout", b"bad passphrase")


class PassVault(EntryVault):
    """A `ports.Vault` in the password store. Thread-safe. Raises KeychainError `keychain_absent` (no `pass`,
    or a store that was not made yet), `keychain_locked`, `keychain_timeout`, `keychain_refused`,
    `entry_damaged`.
    """

    def __init__(self, home_id: str, *, program: str = "pass", deadline: float = DEADLINE) -> None:
        super().__init__(home_id, _PassEntries(program, deadline))


class _PassEntries:
    title = "pass"
    persistent = True
    limit = None

    def __init__(self, program: str, deadline: float) -> None:
        self._program = program
        self._deadline = deadline

    def get(self, name: str) -> str | None:
        # `pass show` lists a folder of that name as if it were an entry, so look at the file.
        if not self._file(name).is_file():
            return None
        text = self._run(("show", name))
        # GnuPG calls some files well that were cut off early, and shows nothing: our line's end is the proof.
        if not text.endswith(b"\n"):
            raise _damaged()
        return text[:-1].decode("ascii", "replace")

    def put(self, name: str, text: str) -> None:
        self._file(name)  # raises if there is no store
        self._run(("insert", "--multiline", "--force", name), text.encode() + b"\n")

    def drop(self, name: str) -> None:
        if self._file(name).is_file():
            self._run(("rm", "--force", name))

    def names(self, prefix: str) -> list[str]:
        self._file(prefix)  # raises if there is no store
        store = self._store()
        files = (path.relative_to(store) for path in (store / prefix).rglob("*.gpg"))
        return [path.as_posix().removesuffix(".gpg") for path in files]

    def _store(self) -> Path:
        chosen = os.environ.get("PASSWORD_STORE_DIR")
        return Path(chosen) if chosen else Path.home() / ".password-store"

    def _file(self, name: str) -> Path:
        store = self._store()
        if not (store / ".gpg-id").is_file():
            raise KeychainError(
                "The password store does not exist yet",
                code="pass_not_set_up",
            )
        return store / f"{name}.gpg"

    def _run(self, args: Sequence[str], data: bytes = b"") -> bytes:
        program = find_program(self._program)
        if program is None:
            raise KeychainError(
                "The program `pass` is not installed",
                code="pass_missing",
            )
        try:
            process = subprocess.Popen(  # noqa: S603  (no shell; a name is the only argument)
                (program, *args),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=_environ(),
                # `pass` is a shell script: at the deadline, what it started ends with it.
                start_new_session=True,
            )
        except OSError as error:
            raise KeychainError("Keyfob could not start `pass`", detail=str(error.strerror)) from None
        with process:
            try:
                output, errors = process.communicate(data, self._deadline)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()
                raise KeychainError("`pass` did not answer in time", code="keychain_timeout") from None
        if process.returncode != 0:
            raise _failure(errors)
        return output


def _environ() -> dict[str, str]:
    options = f"{os.environ.get('PASSWORD_STORE_GPG_OPTS', '')} --status-fd 2".strip()
    return {**child_environment(os.environ), "LC_ALL": "C", "PASSWORD_STORE_GPG_OPTS": options}


def _failure(errors: bytes) -> KeychainError:
    """What `pass` and GnuPG said, as one of our codes; their words are left out."""
    said = errors.lower()
    if any(word in said for word in _TORN):
        return _damaged()
    if any(word in said for word in _ASKED_IN_VAIN):
        return KeychainError("The password store's key is locked", code="keychain_locked")
    return KeychainError("`pass` refused", code="keychain_refused")


def _damaged() -> KeychainError:
    return KeychainError("An entry in the password store is damaged", code="entry_damaged")
