"""The entry of `keyfob`, and of the helper processes it starts of itself.

Takes the fast path of `token` before anything else is imported: with an agent running, the answer comes over its
socket, and neither the command line nor the engine is ever loaded.
"""

from __future__ import annotations

import sys


def main() -> int:
    """The exit code. Called by the console script and by `python -m keyfob`."""
    arguments = sys.argv[1:]
    if arguments and arguments[0] == "token":
        from keyfob.client import fast_token

        code = fast_token(arguments[1:])
        if code is not None:
            return code
    if arguments and arguments[0] == "--keychain-helper":
        from keyfob.adapters.vault_helper import main as keychain_helper

        keychain_helper()
        return 0
    from keyfob.cli.main import main as command
    from keyfob.doors import doors

    return command(arguments, doors())


if __name__ == "__main__":
    sys.exit(main())
