"""Where the encrypted file's passphrase comes from: a systemd credential, a file descriptor, or the user.

Never an argument or the environment, which other programs can read. Called by `choice`. The question is a
plain callable, so that a window can ask in its own way.
"""

from __future__ import annotations

import os
import select
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from keyfob.core.errors import KeychainError
from keyfob.core.secret import Secret
from keyfob.process.own_process import CREDENTIAL, CREDENTIALS, FD_VARIABLE

# Asks the user for the passphrase; True: for a new vault, so that they are asked twice.
Ask = Callable[[bool], Secret]

# Seconds for the user to type it: no call of a vault waits forever.
TYPING_TIME = 60.0
_LONGEST = 4_096


def find_passphrase(ask: Ask | None = None, environ: Mapping[str, str] | None = None) -> Ask:
    """The first of: systemd's credential `keyfob-passphrase`, the descriptor that KEYFOB_PASSPHRASE_FD names,
    `ask`. Nothing is read before the passphrase is wanted; a descriptor is read once and closed.
    """
    env = os.environ if environ is None else environ
    folder = env.get(CREDENTIALS)
    if folder and Path(folder, CREDENTIAL).is_file():
        return from_file(Path(folder, CREDENTIAL))
    number = env.get(FD_VARIABLE)
    if number is not None:
        return from_descriptor(number)
    return ask or ask_nowhere


def from_file(path: Path) -> Ask:
    """Reads the passphrase from the file's first line each time it is asked for. Raises KeychainError if it
    cannot be read.
    """

    def read(_new: bool) -> Secret:
        try:
            return _first_line(path.read_bytes())
        except OSError as error:
            raise _unreadable(str(error.strerror)) from None

    return read


def from_descriptor(number: str) -> Ask:
    """`number`: an inherited descriptor whose first line is the passphrase. Kept once read: it is
    gone then.
    """
    lock = threading.Lock()
    kept: list[Secret] = []

    def read(_new: bool) -> Secret:
        with lock:
            if not kept:
                if not number.isascii() or not number.isdigit() or int(number) < 3:
                    raise _unreadable(f"{FD_VARIABLE} must be the number of a file descriptor above 2")
                try:
                    with os.fdopen(int(number), "rb") as stream:
                        kept.append(_first_line(stream.read(65_536)))
                except OSError as error:
                    raise _unreadable(str(error.strerror)) from None
            return kept[0]

    return read


def _first_line(data: bytes) -> Secret:
    try:
        return Secret(data.split(b"\n", 1)[0].removesuffix(b"\r").decode())
    except UnicodeDecodeError:
        raise _unreadable("it is not UTF-8") from None


def _unreadable(why: str) -> KeychainError:
    return KeychainError(
        f"The passphrase of the encrypted file could not be read: {why}", code="keychain_locked"
    )


def ask_nowhere(_new: bool) -> Secret:
    """Nobody can be asked here. Raises KeychainError `passphrase_needed`."""
    raise KeychainError("The encrypted file needs its passphrase", code="passphrase_needed")


# --- the terminal -------------------------------------------------------------------------------------------


def ask_in_terminal(new: bool) -> Secret:
    """Read it from the controlling terminal, unseen, twice for a new vault. Raises KeychainError
    `keychain_locked` if there is no terminal, `keychain_timeout` after TYPING_TIME, `passphrase_wrong` if
    the two differ.
    """
    if os.name == "nt":
        import sys
        from getpass import getpass

        if not sys.stdin.isatty():
            return ask_nowhere(new)
        first = getpass("Passphrase of Keyfob's encrypted file: ")
        again = getpass("The passphrase again: ") if new else first
    else:
        try:
            terminal = os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY)
        except OSError:
            return ask_nowhere(new)
        try:
            first = _type(terminal, "Passphrase of Keyfob's encrypted file: ")
            again = _type(terminal, "The passphrase again: ") if new else first
        finally:
            os.close(terminal)
    if first != again:
        raise KeychainError("The passphrases do not match", code="passphrases_differ")
    return Secret(first)


def _type(terminal: int, words: str) -> str:
    import termios

    before = termios.tcgetattr(terminal)
    unseen = [*before[:3], before[3] & ~termios.ECHO, *before[4:]]
    until = time.monotonic() + TYPING_TIME
    line = b""
    try:
        termios.tcsetattr(terminal, termios.TCSAFLUSH, unseen)
        os.write(terminal, words.encode())
        while not line.endswith(b"\n") and len(line) < _LONGEST:
            ready, _, _ = select.select([terminal], [], [], max(until - time.monotonic(), 0))
            if not ready:
                raise KeychainError("You did not type the passphrase in time", code="keychain_timeout")
            got = os.read(terminal, _LONGEST)
            if not got:
                break
            line += got
    finally:
        termios.tcsetattr(terminal, termios.TCSAFLUSH, before)
        os.write(terminal, b"\n")
    return _first_line(line).reveal()
