"""What every flow needs besides its own arguments: identifiers, the time, signing keys and nonces."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from keyfob.protocol.effects import NewId
from keyfob.protocol.oauth.nonces import NonceBook
from keyfob.protocol.oidc.keys import Keys


@dataclass(frozen=True, slots=True)
class FlowEnv:
    """Thread-safe. `nonces` are the servers' newest DPoP nonces, `keys` their signing keys; a process has one of
    each."""

    new_id: NewId
    now: Callable[[], datetime]
    nonces: NonceBook = field(default_factory=NonceBook)
    keys: Keys = field(default_factory=Keys)
