"""Which of keyring's backends may hold a secret: an allow-list, and an error if the settings name another.

keyring takes whatever `PYTHON_KEYRING_BACKEND` or `keyringrc.cfg` names, so a token can end up in a plaintext
file, or nowhere. Here only the operating system's keychains are allowed, by class. A setting that names
something else is an error and is not silently ignored, because the user who wrote it expects it to have an
effect.

Called by `choice` and the keychain process. Imports keyring only if one of its backends is needed.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from keyfob.core.errors import KeychainError
from keyfob.core.text import plain

if TYPE_CHECKING:
    from keyring.backend import KeyringBackend

SECRET_SERVICE = "keyring.backends.SecretService.Keyring"  # noqa: S105  (a class's name)
CHAINER = "keyring.backends.chainer.ChainerBackend"
WINDOWS = "keyring.backends.Windows.WinVaultKeyring"
# In the order they are tried if no setting names one.
ALLOWED = (
    "keyring.backends.macOS.Keyring",
    WINDOWS,
    SECRET_SERVICE,
    "keyring.backends.libsecret.Keyring",
    "keyring.backends.kwallet.DBusKeyring",
    "keyring.backends.kwallet.DBusKeyringKWallet4",
)
_OFF = ("keyring.backends.fail.Keyring",)


def named_backend(environ: Mapping[str, str] | None = None) -> tuple[str, str] | None:
    """The backend that the user's keyring settings name, and which setting it was; None if none does.
    An unreadable settings file names none, as keyring itself has it.
    """
    env = os.environ if environ is None else environ
    named = env.get("PYTHON_KEYRING_BACKEND", "").strip()
    if named:
        return named, "PYTHON_KEYRING_BACKEND"
    path = _config_folder(env) / "keyringrc.cfg"
    if not path.exists():
        return None
    import configparser  # here: hardly anyone has such a file, and each command pays for imports

    parser = configparser.RawConfigParser()
    try:
        parser.read(path, encoding="utf-8")
        named = parser.get("backend", "default-keyring").strip()
    except (configparser.Error, OSError, UnicodeDecodeError):
        return None
    return (named, "keyringrc.cfg") if named else None


def _config_folder(env: Mapping[str, str]) -> Path:
    if sys.platform == "win32":
        return Path(env.get("LOCALAPPDATA") or env.get("ProgramData") or ".") / "Python Keyring"
    base = env.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path.home() / ".config") / "python_keyring"


def allowed_name(environ: Mapping[str, str] | None = None) -> str | None:
    """The allowed backend that the settings name, or None if the choice is ours (no setting, or keyring's
    chainer, which means "all available ones"). Raises KeychainError `keychain_plaintext` if they name
    one that keeps secrets in a file, in the clear or not at all; `keychain_absent` if they switch it off.
    """
    found = named_backend(environ)
    if found is None or found[0] == CHAINER:
        return None
    name, setting = found
    if name in ALLOWED:
        return name
    if name in _OFF:
        raise KeychainError(
            f"{setting} turns the keychain off",
            code="keychain_off",
            facts={"path": setting},
        )
    raise KeychainError(
        f"{setting} names {plain(name, 80)}, which is not this system's keychain", code="keychain_plaintext"
    )


def choose_backend(environ: Mapping[str, str] | None = None) -> KeyringBackend:
    """The first allowed backend that works here, or the one that the settings name. Never keyring's own
    choice. Raises KeychainError `keychain_plaintext`, `keychain_absent`.
    """
    named = allowed_name(environ)
    for name in (named,) if named else ALLOWED:
        backend = _viable(name)
        if backend is not None:
            return backend
    raise KeychainError("This system has no keychain, or it is not running", code="keychain_absent")


def _viable(name: str) -> KeyringBackend | None:
    module, _, cls = name.rpartition(".")
    try:
        loaded: type[KeyringBackend] = getattr(__import__(module, fromlist=[cls]), cls)
        # keyring says "not here" by raising from `priority`:
        # RuntimeError in its documentation, others in practice.
        if not loaded.viable:
            return None
        return loaded()
    except Exception:  # whatever a backend raises while it looks around, it is not one that works
        return None
