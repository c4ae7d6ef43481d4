"""The keychain process: does one keychain call at a time for the process that started it.

It reads JSON lines on stdin and writes them to stdout. Its arguments, its environment and its other output
contain no secret. It exits after `idle` seconds without a request, when stdin ends, and when a call takes
longer than its request allows. When stdin ends because the parent was killed, it still finishes what it was
asked, so that no token is lost. It does not exit for idleness after a user allowed the keychain's entries to
it: the next process would have to ask again.

Started only by `process`; in a frozen app as `keyfob --keychain-helper`.
Never makes more than one call at once, never logs.

Requests: {"id", "op": load|save|delete|names|probe|unlock, "name", "value", "label", "seconds"}, the first
line {"home", "idle"}. Answers: {"id", "value"} or {"id", "error": {"code", "message", "facts", "detail"},
"fault": bool}.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import sys
import threading
from typing import TYPE_CHECKING, Any, BinaryIO

from keyfob.core.errors import KeychainError, KeyfobError
from keyfob.core.secret import Secret
from keyfob.process.own_process import begin

if TYPE_CHECKING:
    from keyfob.adapters.vault.system import SystemVault

# Exit statuses that the parent reads. IDLE promises that no request was taken and left undone.
EXIT_IDLE = 0
EXIT_ORPHAN = 71
EXIT_STUCK = 72
MARK = "--keychain-helper"  # what a frozen app is started with to become this process


def main() -> None:
    """Serve the parent on stdin and stdout until there is nothing more to do. Never returns."""
    begin()
    # The protocol's own descriptor: a library that prints, or a daemon it starts, must not reach the parent.
    answers = os.fdopen(os.dup(1), "wb", buffering=0)
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, 1)
    # Ctrl-C in a terminal is for the parent; a write in progress here is finished first.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    first = sys.stdin.buffer.readline()
    if not first:
        os._exit(EXIT_ORPHAN)
    start: dict[str, Any] = json.loads(first)
    threading.Thread(target=_read, args=(requests,), name="requests", daemon=True).start()
    from keyfob.adapters.vault.entries import plain_label
    from keyfob.adapters.vault.system import SystemVault

    labels: dict[str, str] = {}
    vault = SystemVault(start["home"], lambda name: labels.get(name) or plain_label(name))
    _serve(vault, requests, answers, idle=start["idle"], labels=labels)


def _read(requests: queue.SimpleQueue[bytes | None]) -> None:
    for line in sys.stdin.buffer:
        if not line.endswith(b"\n"):
            break  # cut off with its parent: never a whole request
        requests.put(line)
    requests.put(None)


def _serve(
    vault: SystemVault,
    requests: queue.SimpleQueue[bytes | None],
    answers: BinaryIO,
    *,
    idle: float,
    labels: dict[str, str],
) -> None:
    while True:
        try:
            line = requests.get(timeout=None if vault.trusts_this_process else idle)
        except queue.Empty:
            os._exit(EXIT_IDLE)
        if line is None:
            os._exit(EXIT_ORPHAN)
        request: dict[str, Any] = json.loads(line)
        labels.clear()
        labels[request["name"]] = request.get("label", "")
        stuck = threading.Timer(request["seconds"], os._exit, (EXIT_STUCK,))
        stuck.daemon = True
        stuck.start()
        answer = json.dumps({"id": request["id"], **_answer(vault, request)}).encode() + b"\n"
        stuck.cancel()
        try:
            answers.write(answer)
        except OSError:
            os._exit(EXIT_ORPHAN)


def _answer(vault: SystemVault, request: dict[str, Any]) -> dict[str, Any]:
    try:
        return {"value": _call(vault, request)}
    except KeyfobError as error:
        failure = {
            "code": error.code,
            "message": error.message,
            "facts": error.facts,
            "detail": error.detail,
        }
        return {"error": failure, "fault": not isinstance(error, KeychainError)}
    except Exception as error:  # a bug here must reach the parent as one; the text could quote a secret
        bug: dict[str, Any] = {"code": "internal", "message": "The keychain process failed", "facts": {}}
        return {"error": {**bug, "detail": type(error).__qualname__}, "fault": True}


def _call(vault: SystemVault, request: dict[str, Any]) -> object:
    match request["op"]:
        case "load":
            found = vault.load(request["name"])
            return None if found is None else found.reveal()
        case "save":
            vault.save(request["name"], Secret(request["value"]))
        case "delete":
            vault.delete(request["name"])
        case "names":
            return vault.names()
        case "probe":
            health = vault.probe()
            return [health.ok, health.name, health.persistent, health.code, health.message, health.facts]
        case "unlock":
            vault.unlock(request["seconds"])
        case other:
            raise ValueError(other)
    return None


if __name__ == "__main__":
    main()
