"""What every flow needs besides its own arguments: identifiers, the time, signing keys and nonces."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from keyfob.protocol.effects import NewId
from keyfob.protocol.oidc.id_token import Keys

if TYPE_CHECKING:
    from keyfob.protocol.oauth.dpop import NonceBook  # which itself sends with a FlowEnv


@dataclass(frozen=True, slots=True)
class FlowEnv:
    """Thread-safe. `keys` caches the signing keys of servers, `nonces` their DPoP nonces; a process has one of each."""

    new_id: NewId
    now: Callable[[], datetime]
    nonces: NonceBook
    keys: Keys = field(default_factory=Keys)
