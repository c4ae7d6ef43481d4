"""`keyfob-keyring`: enough of the `keyring` command for pip's `--keyring-provider subprocess`, and no more.

pip runs `keyring get ADDRESS USERNAME` with the index's address and reads the password from stdout. `keyfob wire pip`
places this program as `keyring` where pip finds it. `set` and `del` are refused: it is no store. A nonzero exit makes
pip ask the person, as it does without a keyring.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from urllib.parse import urlsplit

from keyfob import client
from keyfob.cli import by_host

USAGE = "usage: keyring get ADDRESS USERNAME"


def main(arguments: Sequence[str] | None = None) -> int:
    """0 with the token on stdout, 1 where there is none, 2 for what this program does not do."""
    from keyfob.core.errors import KeyfobError

    words = list(sys.argv[1:] if arguments is None else arguments)
    if words[:1] in (["set"], ["del"]):
        by_host.say("Keyfob's accounts are connected and disconnected with Keyfob, not through keyring")
        return 2
    if len(words) != 3 or words[0] != "get":
        print(USAGE, file=sys.stderr)
        return 2
    address, username = words[1], words[2]
    parts = urlsplit(address)
    host = parts.netloc.rpartition("@")[2].lower()
    if not host or not by_host.is_safe(parts.scheme, host):
        return 1  # pip asks again with the host alone; whether that is for https cannot be told then
    try:
        account = by_host.choose(host, "pip", username=username)
        if account is None:
            return 1
        print(client.lease(account["id"])["token"])
    except KeyfobError as error:
        by_host.say(error.sentence().rstrip("."))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
