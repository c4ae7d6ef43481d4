"""`git-credential-keyfob`: git's credential helper protocol (gitcredentials(7), git-credential(1)).

`get` answers for hosts of connected accounts and is silent for all others, so that git asks its next helper.
`erase` comes after the server refused a token: Keyfob then renews the account, so that the next `get` has a
new one. `store` saves nothing. It never ends git's search (`quit`), answers over plain http only on this
computer, and never prints part of an answer.

    git config --global credential.https://github.com.helper keyfob
    git config --global credential.https://git.example.org.helper 'keyfob --account gitea/work'
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from keyfob.cli import host_lookup
from keyfob.cli.helper_program import finished, say, usage
from keyfob.client import tokens
from keyfob.process.own_process import begin
from keyfob.tools import hosts

MOST_INPUT = 64 * 1024  # bytes: git's own lines are short
USAGE = "usage: git-credential-keyfob [--account ACCOUNT] [--username NAME] [--authtype TYPE] get|store|erase"


def main(arguments: Sequence[str] | None = None) -> int:
    """The exit code: 0 also if there is no answer, as git expects; 2 for wrong usage, 8 if the answer cannot
    be written, 1 for a fault in Keyfob.
    """
    begin()
    words = list(sys.argv[1:] if arguments is None else arguments)
    return finished(lambda: _run(words))


def _run(words: list[str]) -> int:
    given: dict[str, str] = {}
    while words and words[0].startswith("--"):
        name, mark, value = words.pop(0)[2:].partition("=")
        if name not in ("account", "username", "authtype") or not (mark or words):
            return usage(USAGE)
        given[name] = value if mark else words.pop(0)
    if len(words) != 1:
        return usage(USAGE)
    from keyfob.core.errors import KeyfobError

    asked, capabilities = read(sys.stdin.buffer.read(MOST_INPUT))
    try:
        match words[0]:
            case "get":
                for name, text in answer(asked, capabilities, given):
                    sys.stdout.write(f"{name}={text}\n")
                sys.stdout.flush()
            case "erase":
                erase(asked, given.get("account"))
            case _:  # store, and actions of later gits: "silently ignored" is the protocol's own word
                pass
    except KeyfobError as error:
        from keyfob.cli import remedies

        # With no answer git goes on to its next helper, or asks the user.
        say(remedies.sentence(error).rstrip("."))
    return 0


def read(data: bytes) -> tuple[dict[str, str], list[str]]:
    """The `name=value` lines of git up to a blank one, and its `capability[]` list."""
    asked: dict[str, str] = {}
    capabilities: list[str] = []
    for line in data.decode("utf-8", "replace").split("\n"):
        if not line:
            break
        name, mark, value = line.partition("=")
        if name == "capability[]":
            capabilities.append(value)
        elif mark and not name.endswith("[]"):
            asked[name] = value
    if "url" in asked:
        _spread(asked)
    return asked, capabilities


def answer(
    asked: dict[str, str], capabilities: Sequence[str], given: dict[str, str]
) -> list[tuple[str, str]]:
    """The lines of an answer; none if there is no account to answer with. Raises `keyfob.KeyfobError`."""
    host = asked.get("host", "")
    if not host or not hosts.is_safe(asked.get("protocol", ""), host):
        return []
    username = asked.get("username")
    if username == given.get("username"):
        username = None  # the user's own setting: this name goes with the token
    account = host_lookup.choose(host, "git", account=given.get("account"), username=username)
    if account is None:
        return []
    found = tokens.lease(account["id"])
    token = str(found["token"])
    if "\n" in token or "\r" in token or "\0" in token:
        return []
    if given.get("authtype") and "authtype" in capabilities:
        lines = [("capability[]", "authtype"), ("authtype", given["authtype"]), ("credential", token)]
        lines.append(("ephemeral", "1"))  # not for other helpers to store
    else:
        entry = hosts.entry(account["provider"], "git") or {}
        usual = (account.get("method") == "api_key" and entry.get("key_username")) or entry.get("username")
        name = given.get("username") or usual or asked.get("username") or account["label"]
        lines = [("username", name), ("password", token)]
    if found.get("expires_at"):
        from datetime import datetime

        expires = datetime.fromisoformat(str(found["expires_at"]).replace("Z", "+00:00"))
        lines.append(("password_expiry_utc", str(int(expires.timestamp()))))
    return lines


def erase(asked: dict[str, str], account: str | None) -> None:
    """The server refused this password. If it is still the token of an account that can renew, the account is
    renewed; a key that cannot be renewed is left alone, since a server's 401 may mean that it may not do this
    one thing.
    """
    host, refused = asked.get("host", ""), asked.get("password") or asked.get("credential")
    if not host or not refused:
        return
    for row in hosts.at(host, "git", tokens.accounts()):
        if row["renewable"] and row.get("shareable", True) and account in (None, row["id"], row["provider"]):
            tokens.lease(row["id"], rejected=refused)


def _spread(asked: dict[str, str]) -> None:
    scheme, host, username = hosts.split(asked.pop("url"))
    asked.setdefault("protocol", scheme)
    asked.setdefault("host", host)
    if username:
        asked.setdefault("username", username)


if __name__ == "__main__":
    sys.exit(main())
