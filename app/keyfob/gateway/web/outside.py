"""What web sign-in needs from outside; `keyfob.engine.web_ports` makes it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from keyfob.core.account import Record
from keyfob.engine import WebPorts

__all__ = ["Codec", "WebPorts"]


@dataclass(frozen=True, slots=True)
class Codec:
    """How a session's description is written and read."""

    dumps: Callable[[Record], str]
    load: Callable[[str], Record]
