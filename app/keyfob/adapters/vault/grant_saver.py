"""Starts the process that saves a renewed grant later (keyfob/saver.py), and sends it the grant through a
pipe.

The grant is never in an argument, in the environment or on the disk. The process is detached: it continues if
the terminal is closed or the program that started it is killed.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading

from keyfob.adapters.store import codec
from keyfob.core.account import Record
from keyfob.core.grant import Grant, seal
from keyfob.process.own_process import own_command

MARK = "--grant-saver"  # how a frozen app is asked to be one
READY = b"holding\n"
READY_WITHIN = 20.0  # seconds: it loads the engine


def start_saver(home_id: str, record: Record, grant: Grant, beside: str) -> bool:
    """Whether a separate process holds `grant` now. Blocks until it says so. Never raises."""
    frozen = (MARK,) if getattr(sys, "frozen", False) else ()
    try:
        process = subprocess.Popen(  # noqa: S603  (our own program, no shell)
            [*own_command("keyfob.saver"), *frozen],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={name: value for name, value in os.environ.items() if name != "KEYFOB_PASSPHRASE_FD"},
            start_new_session=os.name != "nt",
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        )
    except OSError:
        return False
    request = {
        "home": home_id,
        "record": codec.dumps(record),
        "grant": seal(grant).reveal(),
        "beside": beside,
    }
    late = threading.Timer(READY_WITHIN, process.kill)
    late.start()
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        with contextlib.suppress(OSError), process.stdin:
            process.stdin.write(json.dumps(request).encode() + b"\n")
        ready = process.stdout.readline() == READY
        process.stdout.close()
    finally:
        late.cancel()
    # Nothing else waits for it: this thread does, so that no zombie stays.
    threading.Thread(target=process.wait, name="grant-saver", daemon=True).start()
    return ready
