"""How long a token must still live to be handed out: the one rule, for the engine, the agent and the client.

In seconds, and without an import, because the client asks it too.
"""

from __future__ import annotations

USUAL = 60.0  # seconds: what a tool gets at least when it does not say
SHORT_SHARE = 0.20  # of a lifetime too short for that
ASKED_MOST = 86_400  # seconds that a tool may ask for


def min_life(lifetime: float | None, asked: float | None = None) -> float:
    """How many seconds a token must have left. `asked` is what the tool wants, None for the usual; `lifetime`
    is the token's whole lifetime in seconds, None when it is unknown.
    """
    if asked is not None:
        return asked
    return USUAL if lifetime is None else min(USUAL, lifetime * SHORT_SHARE)
