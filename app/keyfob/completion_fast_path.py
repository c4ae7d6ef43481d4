"""Completion of an account's name in a shell, without the command line and the engine.

Called by `__main__` when a shell completes the first word after a command that takes an account, which is
what is completed most. For anything else it returns None, and click answers. The answers have click's forms,
because the shells' scripts are click's (`keyfob completion`).
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

# The commands whose first argument is an account.
COMMANDS = frozenset(
    {
        "disconnect", "exec", "reconnect", "remove", "rename", "renew", "request", "status", "test", "token",
    }
)  # fmt: skip
_QUOTING = frozenset("'\"\\`$")  # a word that a shell would change is for click to take apart
_FORMS = {"bash_complete": "plain,{}", "zsh_complete": "plain\n{}\n_", "fish_complete": "plain,{}"}


def complete_account(env: Mapping[str, str]) -> int | None:
    """Prints the accounts that begin with the word that is typed. The exit code, or None if click has to
    answer.
    """
    form = _FORMS.get(env.get("_KEYFOB_COMPLETE", ""))
    typed = None if form is None else _typed(env)
    if form is None or typed is None:
        return None
    found = [form.format(each) for each in known_accounts() if each.startswith(typed)]
    sys.stdout.write("".join(f"{each}\n" for each in found))
    return 0


def known_accounts() -> list[str]:
    """The ids of this computer's accounts; none if they cannot be read, for a prompt does not show errors."""
    from keyfob.adapters.store.account_ids import account_ids
    from keyfob.process import paths

    try:
        ids = account_ids(os.path.join(paths.folders(os.environ)["data"], "accounts.db"))
    except Exception:  # sqlite3.Error and OSError; whatever it is, a command that is run says it
        return []
    return [each for each in ids if each.isprintable()]


def _typed(env: Mapping[str, str]) -> str | None:
    """The beginning of the account's name, None if it is something else that is completed."""
    line, current = env.get("COMP_WORDS", ""), env.get("COMP_CWORD", "")
    if _QUOTING & set(line):
        return None
    words = line.split()
    if env["_KEYFOB_COMPLETE"] == "fish_complete":
        typed = current
        before = words[1:-1] if typed and words[-1:] == [typed] else words[1:]
    else:
        at = int(current) if current.isdecimal() else 0
        typed = words[at] if at < len(words) else ""
        before = words[1:at]
    fits = len(before) == 1 and before[0] in COMMANDS and not typed.startswith("-")
    return typed if fits else None
