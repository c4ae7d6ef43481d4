"""A process that makes children which renew an account, to be killed at
any moment. Run as a program, by tests.

    python renewing_children.py HOME PASSPHRASE_FD

For each line on stdin it forks a child, tells its process id on stdout, and then how it ended. What costs
time and is not what is measured (imports, the sealed vault's key) is done before the fork, so that many kills
fit in a minute. Without PASSPHRASE_FD each child opens the keychain that the home's settings name, as a
command does.
"""

from __future__ import annotations

import os
import sys
from dataclasses import replace


def main(home_folder: str, descriptor: int | None) -> None:
    from keyfob.adapters.vault.choice import SEALED_FILE
    from keyfob.adapters.vault.sealed import SealedVault
    from keyfob.core.secret import Secret
    from keyfob.engine import build, system_ports
    from keyfob.process.home import open_home

    home = open_home({"KEYFOB_HOME": home_folder})
    vault = None
    if descriptor is not None:
        passphrase = Secret(os.read(descriptor, 1000).decode().strip())
        vault = SealedVault(home.id, home.data / SEALED_FILE, lambda new: passphrase)
    warm = build(system_ports(home, vault=vault))
    warm.accounts.renew("here")
    replace(warm, vault=None).close()  # type: ignore[arg-type]  # the children use the open vault
    print("ready", flush=True)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            try:
                engine = build(system_ports(home, vault=vault))
                engine.accounts.renew(line.strip())
            except BaseException:
                os._exit(1)
            os._exit(0)
        print(child, flush=True)
        _, status = os.waitpid(child, 0)
        print("killed" if os.WIFSIGNALED(status) else f"ended {os.WEXITSTATUS(status)}", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else None)
