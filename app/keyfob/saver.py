"""A process that holds a renewed grant until it is saved. `adapters/vault/grant_saver.py` starts it.

The program that received the grant keeps trying to save it, under the account's lock. When it has saved the
grant or has ended, the lock is free. Then this process checks whether the vault has the grant, saves it if
not, and exits. It sends one kind of request: it revokes the grant if the account was disconnected in the
meantime. Like `__main__`, it is an entry point and starts without an engine.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from datetime import timedelta

from keyfob.process.own_process import begin

LOOK = timedelta(seconds=1)
LOOK_LATER = timedelta(seconds=15)  # a keychain that stays locked for long: after a logout, or over a night
LATER_AFTER = 600  # looks


def main() -> int:
    """Save the grant that stdin holds, unless a newer one is saved; the exit code. It survives Ctrl-C and the
    end of its terminal.
    """
    begin()
    for name in ("SIGINT", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), signal.SIG_IGN)
    request = json.loads(sys.stdin.buffer.readline())
    from keyfob.adapters.store.codec import load_record
    from keyfob.adapters.vault.grant_saver import READY
    from keyfob.core.errors import KeyfobError, SignInNeeded
    from keyfob.core.grant import unseal
    from keyfob.core.secret import Secret
    from keyfob.engine import build, system_ports
    from keyfob.process import log
    from keyfob.process.home import open_home
    from keyfob.service.accounts.saving import saving_name
    from keyfob.service.runner import pause

    home = open_home()
    if home.id != request["home"]:
        return 1
    log.set_up(home.log)
    record, grant = load_record(request["record"]), unseal(Secret(request["grant"]))
    engine = build(system_ports(home, lasting=True, saver=True))
    try:
        with engine.locks.hold(saving_name(record.account.key), timeout=timedelta(0)):
            sys.stdout.buffer.write(READY)
            sys.stdout.buffer.flush()
            nowhere = os.open(os.devnull, os.O_RDWR)
            for number in (0, 1):
                os.dup2(nowhere, number)
            looks = 0
            while True:
                try:
                    engine.keeper.saving.save_in_turn(record, grant, request["beside"])
                    return 0
                except SignInNeeded:
                    return 0  # the account was disconnected: what it was given is revoked
                except KeyfobError:
                    # A keychain that is locked, a lock that is held, a disk that is full: all may pass.
                    pause(LOOK if looks < LATER_AFTER else LOOK_LATER, None)
                    looks += 1
    except KeyfobError:
        return 0  # another process holds it
    finally:
        engine.close()


if __name__ == "__main__":
    sys.exit(main())
