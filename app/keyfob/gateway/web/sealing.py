"""Seals what a browser or a database holds for the server: AES-256-GCM (RFC 5116) under keys that rotate.

What is sealed opens only in its place: the caller names it (table, row, generation) as associated data,
so that a row that was swapped or put back does not open. Nonces are random, so one key is good for 2^32
values: rotate it long before.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from keyfob.core.errors import SettingWrong
from keyfob.core.secret import Secret

KEY_LEAST = 32  # characters of a key
_VERSION = b"\x01"
_NONCE = 12  # bytes
_ID = 4  # bytes that name a key
_HEAD = 1 + _ID + _NONCE


class SealedError(Exception):
    """It does not open: not ours, changed, from another place, or its key is gone."""


class Sealer:
    """Immutable and thread-safe. The first key seals, all of them open."""

    def __init__(self, keys: Sequence[Secret], purpose: str) -> None:
        """`purpose` separates what is sealed with the same keys for different ends. Raises SettingWrong for
        no key, and for one that is too short.
        """
        if not keys:
            raise SettingWrong("Web sign-in needs a secret key", remedy="Use 32 random bytes, as base64.")
        if any(len(key) < KEY_LEAST for key in keys):
            raise SettingWrong(
                f"A secret key of web sign-in has fewer than {KEY_LEAST} characters",
                remedy="Use 32 random bytes, as base64.",
            )
        derived = [_derived(key, purpose) for key in keys]
        self._ciphers = {hashlib.sha256(key).digest()[:_ID]: AESGCM(key) for key in derived}
        self._newest = hashlib.sha256(derived[0]).digest()[:_ID]

    def seal(self, data: bytes, *place: str) -> bytes:
        """`data`, to be opened with the same `place` alone."""
        nonce = os.urandom(_NONCE)
        head = _VERSION + self._newest + nonce
        return head + self._ciphers[self._newest].encrypt(nonce, data, _bound(head, place))

    def open(self, sealed: bytes, *place: str) -> bytes:
        """The inverse. Raises SealedError."""
        cipher = self._ciphers.get(sealed[1 : 1 + _ID])
        if cipher is None or sealed[:1] != _VERSION or len(sealed) <= _HEAD:
            raise SealedError
        head = sealed[:_HEAD]
        try:
            return cipher.decrypt(head[1 + _ID :], sealed[_HEAD:], _bound(head, place))
        except InvalidTag:
            raise SealedError from None

    def by_newest(self, sealed: bytes) -> bool:
        """Whether the newest key sealed this."""
        return sealed.startswith(self.mark)

    @property
    def mark(self) -> bytes:
        """What all begins with that the newest key sealed."""
        return _VERSION + self._newest


def _derived(key: Secret, purpose: str) -> bytes:
    info = f"keyfob web {purpose}".encode()
    return HKDF(hashes.SHA256(), 32, salt=None, info=info).derive(key.reveal().encode())


def _bound(head: bytes, place: Sequence[str]) -> bytes:
    return head + json.dumps(place).encode()
