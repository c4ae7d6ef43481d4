"""`keyfob-keyring`: the part of the `keyring` command that pip's `--keyring-provider subprocess` needs.

pip before 26.2 runs `keyring get ADDRESS USERNAME` and reads the password from stdout. Newer versions run
`keyring --mode=creds --output=json get ADDRESS [USERNAME]` and read `{"username": …, "password": …}`. ADDRESS
is the index address. `keyfob wire pip` installs this program as `keyring` in a folder where pip finds it.
`set` and `del` are refused, because it is not a store. If the exit is not zero, pip asks the user, as it does
without a keyring.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence

from keyfob.cli import host_lookup
from keyfob.cli.helper_program import finished, say, usage
from keyfob.client import tokens
from keyfob.core.gateway_address import TOOL_USER
from keyfob.process.own_process import begin
from keyfob.tools import hosts

USAGE = "usage: keyring [--mode=password|creds] [--output=plain|json] get ADDRESS [USERNAME]"
MODES = {"mode": ("password", "creds"), "output": ("plain", "json")}  # the first is meant if none is named


def main(arguments: Sequence[str] | None = None) -> int:
    """0 with the token on stdout, 1 if there is none, 2 for what this program does not do, 8 if the token
    cannot be written.
    """
    begin()
    words = list(sys.argv[1:] if arguments is None else arguments)
    return finished(lambda: _run(words))


def _run(words: list[str]) -> int:
    from keyfob.core.errors import KeyfobError

    options = _options(words)
    if words[:1] in (["set"], ["del"]):
        say("Use Keyfob to connect and disconnect accounts, not keyring")
        return 2
    # As keyring has it: a password is asked for by a user name, credentials also without one.
    if (
        options is None
        or words[:1] != ["get"]
        or len(words) not in ((3,) if options["mode"] == "password" else (2, 3))
    ):
        return usage(USAGE)
    username = words[2] if len(words) == 3 else None
    scheme, host, named = hosts.split(words[1])
    if not host or not hosts.is_safe(scheme, host):
        return 1  # pip asks again with the host alone; it is not known then whether that is for https
    if (username or named) == TOOL_USER:
        return _gateway_key(words[1], options)
    try:
        account = host_lookup.choose(host, "pip", username=username or named)
        if account is None:
            return 1
        token = str(tokens.lease(account["id"])["token"])
    except KeyfobError as error:
        from keyfob.cli import remedies

        say(remedies.sentence(error).rstrip("."))
        return 1
    _print(token, username or named or str(account["label"]), options)
    return 0


def _gateway_key(address: str, options: dict[str, str]) -> int:
    """Pip's key for the gateway, if `keyfob wire pip --through-gateway` led it to this address."""
    from keyfob.core.errors import KeyfobError
    from keyfob.tools.tool_keys import tool_key

    try:
        found = tool_key("pip")
    except KeyfobError as error:
        say(error.message)
        return 1
    scheme, host, _ = hosts.split(address)
    if found is None or found.gateway != f"{scheme}://{host}":
        return 1
    _print(found.key.reveal(), TOOL_USER, options)
    return 0


def _options(words: list[str]) -> dict[str, str] | None:
    """The options in front, taken off `words`; None for one that this program does not know."""
    found = {name: values[0] for name, values in MODES.items()}
    while words and words[0].startswith("--"):
        name, mark, value = words.pop(0)[2:].partition("=")
        if not mark:
            value = words.pop(0) if words else ""
        if value not in MODES.get(name, ()):
            return None
        found[name] = value
    return found


def _print(token: str, username: str, options: dict[str, str]) -> None:
    """As keyring prints it: the password alone or, for credentials, the user name too."""
    shown = {"username": username, "password": token} if options["mode"] == "creds" else {"password": token}
    print(json.dumps(shown) if options["output"] == "json" else "\n".join(shown.values()))


if __name__ == "__main__":
    sys.exit(main())
