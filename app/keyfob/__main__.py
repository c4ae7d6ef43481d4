"""The entry of `keyfob`, and of the helper processes it starts of itself.

Takes the short ways of `token` before anything else is imported: with an agent running, the answer comes over its
socket; without one, a token that is fresh comes straight from the keychain. Neither the command line nor the engine is
loaded for them.
"""

from __future__ import annotations

import sys


def short_ways(arguments: list[str]) -> int | None:
    """`token` where it takes neither the command line nor the engine: its exit code, None where it does. For `main`,
    and for `keyfob-token`, the launcher that starts faster."""
    if not arguments or arguments[0] != "token":
        return None
    from keyfob.client import fast_token

    code = fast_token(arguments[1:])
    if code is not None:
        return code
    from keyfob.fresh import fresh_token

    return fresh_token(arguments[1:])


def main() -> int:
    """The exit code. Called by the console script and by `python -m keyfob`."""
    arguments = sys.argv[1:]
    code = short_ways(arguments)
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
