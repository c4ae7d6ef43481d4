"""The fast path of `keyfob token`: asks a running agent, without the rest of the program."""

from __future__ import annotations

import os

from keyfob.client.connection import (
    HEADER,
    JSON,
    PLAIN,
    AgentGoneError,
    account_path,
    announce_waiting,
    exchange,
)
from keyfob.process.own_process import print_result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

KEYCHAIN_EXIT = "4"  # the exit code of a KeychainError, as the agent names it


def asked_for(arguments: Sequence[str]) -> tuple[str, str, str] | None:
    """What `keyfob token` was asked: account, `min_life` in digits or empty, and PLAIN, HEADER or JSON. None
    for anything but a plain question, which the whole program has to judge.
    """
    ref, min_life, accept, rest = "", "", PLAIN, list(arguments)
    while rest:
        word = rest.pop(0)
        if word == "--min-life" and rest:
            min_life = rest.pop(0)
        elif word.startswith("--min-life="):
            min_life = word[11:]
        elif word == "--json" and accept == PLAIN:
            accept = JSON
        elif word == "--header" and accept == PLAIN:
            accept = HEADER
        elif word.startswith("-") or ref:
            return None
        else:
            ref = word
    if not ref or (min_life and not min_life.isdecimal()):
        return None
    return ref, min_life, accept


def fast_token(arguments: Sequence[str]) -> int | None:
    """`keyfob token` through a running agent: its exit code, or None if the whole program has to do it."""
    asked = asked_for(arguments)
    if asked is None:
        return None
    ref, min_life, accept = asked
    announce_waiting()
    try:
        query = f"?min_life={min_life}" if min_life else ""
        status, headers, body = exchange("GET", account_path("token", ref, query), accept)
    except AgentGoneError:
        return None
    exit_code = headers.get("keyfob-exit", "")
    if status == 200:
        # If the output cannot be written, the whole program says why.
        return 0 if print_result(body if body.endswith(b"\n") else body + b"\n") else None
    if not exit_code.isdecimal():
        return None
    if exit_code == KEYCHAIN_EXIT and headers.get("keyfob-code") != "agent_locked":
        from keyfob.process.terminal import can_ask

        if can_ask():
            return None  # the whole program can have the user unlock it
    # A user reads the sentence, a script the object: as the whole program prints them.
    os.write(2, body if accept == JSON else b"keyfob: " + body + b"\n")
    return int(exit_code)
