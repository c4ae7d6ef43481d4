"""`docker-credential-keyfob`: Docker's credential helper protocol, for the registries of connected accounts.

`get` reads a registry's address on stdin and prints `{"ServerURL", "Username", "Secret"}`. `list` prints the
registries and their usernames. `store` and `erase` are refused, because accounts are connected and
disconnected with Keyfob. For `credHelpers` in Docker's config.json; as the only `credsStore` it would break
other registries.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from keyfob.cli import host_lookup
from keyfob.cli.helper_program import finished, usage
from keyfob.client import tokens
from keyfob.process.own_process import begin
from keyfob.tools import hosts

NOT_FOUND = (
    "credentials not found in native keychain"  # Docker knows this very sentence and continues without
)
USAGE = "usage: docker-credential-keyfob get|list|store|erase|version"


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code. Docker reads a failure's reason from stdout."""
    begin()
    words = list(sys.argv[1:] if arguments is None else arguments)
    return finished(lambda: _run(words))


def _run(words: list[str]) -> int:
    from keyfob.core.errors import KeyfobError

    if len(words) != 1:
        return usage(USAGE)
    try:
        match words[0]:
            case "get":
                return _get(sys.stdin.buffer.readline(4096).decode("utf-8", "replace").strip())
            case "list":
                print(json.dumps(listing()))
                return 0
            case "store":
                print(
                    "Keyfob does not save passwords from docker login. Connect the account with Keyfob "
                    "instead"
                )
                return 1
            case "erase":
                print("Keyfob keeps accounts until you disconnect them. Run: keyfob disconnect ACCOUNT")
                return 1
            case "version":
                from keyfob import __version__

                print(f"docker-credential-keyfob {__version__}")
                return 0
    except KeyfobError as error:
        from keyfob.cli import remedies
        from keyfob.core.text import plain

        print(f"keyfob: {plain(remedies.sentence(error), 1000)}")
        return 1
    return usage(USAGE)


def _get(address: str) -> int:
    host, username = registry(address)
    account = host_lookup.choose(host, "docker", username=username) if host else None
    if account is None:
        print(NOT_FOUND)
        return 1
    found = tokens.lease(account["id"])
    print(json.dumps({"ServerURL": address, "Username": _username(account), "Secret": found["token"]}))
    return 0


def listing() -> dict[str, str]:
    """Registry → user name, for each host at which exactly one account would answer: the hosts that Docker
    asks Keyfob about, and those of providers that are known to be registries. Names no secret.
    """
    from keyfob.tools import docker

    accounts, wired = tokens.accounts(), docker.wired_hosts(os.environ, Path.home())
    found = {}
    for account in accounts:
        entry = hosts.entry(account["provider"], "docker")
        known = [] if entry is None else hosts.further(entry, account["hosts"]) or account["hosts"]
        for host in dict.fromkeys([*known, *(each for each in account["hosts"] if each in wired)]):
            shared = [row for row in hosts.at(host, "docker", accounts) if row.get("shareable", True)]
            if len(shared) == 1:
                found[f"https://{host}"] = _username(account)
    return found


def registry(address: str) -> tuple[str, str | None]:
    """The registry's host and the username in what Docker sends: `ghcr.io`, `https://ghcr.io`,
    `https://index.docker.io/v1/`. No host for plain http to another computer.
    """
    scheme, host, username = hosts.split(address if "://" in address else f"https://{address}")
    return (host, username) if hosts.is_safe(scheme, host) else ("", None)


def _username(account: hosts.Account) -> str:
    entry = hosts.entry(account["provider"], "docker") or {}
    return str(entry.get("username") or account["label"])


if __name__ == "__main__":
    sys.exit(main())
