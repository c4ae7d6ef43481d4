"""A kubeconfig's users and contexts, edited as text: one item put in or taken out, every other line as it was.

Called by `keyfob wire kubectl`. Reads block-style YAML as kubectl and its kin write it; what is written otherwise is
refused rather than guessed at.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from keyfob.core.errors import SettingWrong

_ITEM = re.compile(r"(\s*)- ")
_PLAIN = re.compile(
    r"[A-Za-z0-9][A-Za-z0-9._@/-]*"
)  # stands in YAML with no quotes; never a number or a word of it
EMPTY = "apiVersion: v1\nkind: Config\n"


def with_user(text: str, name: str, command: Sequence[str], api_version: str) -> str:
    """The text with a user that runs `command`, in place of an earlier one of this name."""
    rows = without_user(text or EMPTY, name).split("\n")
    at = _section(rows, "users")
    if at is None:
        if rows[-1:] != [""]:
            rows.append("")
        rows[-1:] = ["users:", *_user(name, command, api_version, ""), ""]
        return "\n".join(rows)
    start, end = at
    said = [row for row in rows[start + 1 : end] if row.strip() and not row.lstrip().startswith("#")]
    if said and not _ITEM.match(said[0]):
        raise SettingWrong(
            "The kubeconfig's users are no list", remedy="Correct the file, then run this again."
        )
    rows[start] = "users:"
    indent = next((found[1] for row in rows[start + 1 : end] if (found := _ITEM.match(row))), "")
    rows[start + 1 : start + 1] = _user(name, command, api_version, indent)
    return "\n".join(rows)


def without_user(text: str, name: str) -> str:
    """The text without the user of this name; the same text where there is none."""
    rows = text.split("\n")
    found = _item(rows, "users", name)
    if found is not None:
        del rows[found[0] : found[1]]
        at = _section(rows, "users")
        if at is not None and not any(_ITEM.match(row) for row in rows[at[0] + 1 : at[1]]):
            rows[at[0]] = "users: []"
    return "\n".join(rows)


def has_user(text: str, name: str) -> bool:
    return _item(text.split("\n"), "users", name) is not None


def with_context(text: str, context: str, user: str) -> str:
    """The text with this context's user. Raises SettingWrong where there is no such context to be read."""
    rows = text.split("\n")
    found = _item(rows, "contexts", context)
    if found is not None:
        for n in range(*found):
            if re.fullmatch(r"[\s-]*user:\s.*", rows[n]):
                rows[n] = rows[n][: rows[n].index("user:")] + f"user: {user}"
                return "\n".join(rows)
    raise SettingWrong(
        f"The kubeconfig has no context {context} with a user",
        remedy=f"Leave --context out, and run: kubectl config set-context {context} --user={user}",
    )


def _user(name: str, command: Sequence[str], api_version: str, indent: str) -> list[str]:
    for word in (name, *command):
        if not _PLAIN.fullmatch(word.removeprefix("/")):
            raise SettingWrong(
                f"{word!r} cannot stand in a kubeconfig", remedy="Choose another name with --user."
            )
    lines = [
        f"- name: {name}",
        "  user:",
        "    exec:",
        f"      apiVersion: {api_version}",
        "      args:",
        *(f"      - {word}" for word in command[1:]),
        f"      command: {command[0]}",
        "      env: null",
        "      interactiveMode: Never",
        "      provideClusterInfo: false",
    ]
    return [indent + line for line in lines]


def _section(rows: list[str], name: str) -> tuple[int, int] | None:
    """From the line of a top-level key up to the next one. Raises SettingWrong for a list in one line."""
    if any(row.lstrip().startswith("{") for row in rows[:1]):
        raise SettingWrong("The kubeconfig is JSON", remedy="Rewrite it with: kubectl config view --raw")
    for start, row in enumerate(rows):
        if row.partition(":")[0] == name and ":" in row:
            rest = row.partition(":")[2].partition(" #")[0].strip()
            if rest not in ("", "[]", "null", "~"):
                raise SettingWrong(
                    f"The kubeconfig's {name} stand in one line",
                    remedy="Rewrite it with: kubectl config view --raw",
                )
            end = start + 1
            while end < len(rows) and (not rows[end] or rows[end][0] in " -#"):
                end += 1
            while end > start + 1 and not rows[end - 1].strip():
                end -= 1
            return start, end
    return None


def _item(rows: list[str], section: str, name: str) -> tuple[int, int] | None:
    """From the first line of the item of this name up to the next item."""
    at = _section(rows, section)
    if at is None:
        return None
    starts, indent = [], None
    for n in range(at[0] + 1, at[1]):
        found = _ITEM.match(rows[n])
        if found is not None and (indent is None or found[1] == indent):
            indent = found[1]
            starts.append(n)
    for first, after in pairwise([*starts, at[1]]):
        for row in rows[first:after]:
            # The item's own name, and not one further in.
            told = re.fullmatch(rf"{re.escape(indent or '')}[ -] name:\s*(.*?)\s*", row)
            if told is not None and told[1].strip("\"'") == name:
                # Notes and gaps between two items belong to the next one.
                while not rows[after - 1].strip() or rows[after - 1].lstrip().startswith("#"):
                    after -= 1
                return first, after
    return None
