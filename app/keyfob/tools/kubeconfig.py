"""Edits a kubeconfig's users and contexts as text: adds or removes one
item, and leaves every other line unchanged.

Called by `keyfob wire kubectl`. PyYAML finds the positions. Lists must be in block style, one item below the
other, as kubectl and similar tools write them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from keyfob.core.errors import SettingWrong
from keyfob.tools.yaml_places import Node, is_null, member, members, text_at, tree_of

# May be in YAML without quotes; never a number or a YAML word.
_PLAIN = re.compile(r"(?:--)?[A-Za-z0-9][A-Za-z0-9._@/-]*")
EMPTY = "apiVersion: v1\nkind: Config\n"


def with_user(text: str, name: str, command: Sequence[str], api_version: str) -> str:
    """The text with a user that runs `command`, instead of an earlier one of this name. Raises SettingWrong
    for a text or a name that cannot be edited in.
    """
    rows = without_user(text or EMPTY, name).split("\n")
    users = _list("\n".join(rows), "users")
    if users is None:
        if rows[-1:] != [""]:
            rows.append("")
        rows[-1:] = ["users:", *_user(name, command, api_version, ""), ""]
    else:
        rows[users.row] = users.head + users.rest
        rows[users.row + 1 : users.row + 1] = _user(name, command, api_version, users.indent)
    made = "\n".join(rows)
    if not has_user(made, name):
        raise SettingWrong("The kubeconfig has a form that Keyfob cannot edit", remedy=_REWRITE)
    return made


def without_user(text: str, name: str) -> str:
    """The text without the user of this name; the same text if there is none. Raises SettingWrong."""
    users = _list(text, "users")
    found = users and users.find(name)
    if not users or not found:
        return text
    rows = text.split("\n")
    del rows[found.first : found.after]
    if len(users.items) == 1:
        rows[users.row] = users.head + " []" + users.rest
    return "\n".join(rows)


def has_user(text: str, name: str) -> bool:
    """Whether the kubeconfig `text` has an entry of this name under `users`."""
    users = _list(text, "users")
    return users is not None and users.find(name) is not None


def with_context(text: str, context: str, user: str) -> str:
    """The text with this context's user. Raises SettingWrong if no such context can be read."""
    contexts = _list(text, "contexts")
    found = contexts and contexts.find(context)
    if found:
        for name, key, value in members(member(found.node, "context")):
            place = text_at(text, value)
            # The value of an alias stands further up, at its anchor.
            if name == "user" and place and value.start_mark.index > key.end_mark.index:
                return text[: value.start_mark.index] + user + text[value.end_mark.index :]
    raise SettingWrong(
        f"The kubeconfig has no context {context} with a user",
        remedy=f"Leave --context out, and run: kubectl config set-context {context} --user={user}",
    )


def _user(name: str, command: Sequence[str], api_version: str, indent: str) -> list[str]:
    for word in (name, *command):
        if not _PLAIN.fullmatch(word.removeprefix("/")):
            raise SettingWrong(
                f"{word!r} is not allowed in a kubeconfig", remedy="Choose another name with --user."
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


@dataclass(frozen=True, slots=True)
class _Item:
    """From its first row up to the row after its last; notes and gaps behind it belong to what follows."""

    node: Node
    first: int
    after: int


@dataclass(frozen=True, slots=True)
class _List:
    """A top-level list. `row` is its name's: `head` up to the colon, then a value if it is empty, then
    `rest`.
    """

    row: int
    head: str
    rest: str
    indent: str
    items: tuple[_Item, ...]

    def find(self, name: str) -> _Item | None:
        for item in self.items:
            found = member(item.node, "name")
            if found is not None and found.id == "scalar" and found.value == name:
                return item
        return None


def _list(text: str, name: str) -> _List | None:
    """None if the text has no such key. Raises SettingWrong for a text that is not a mapping in block
    style.
    """
    try:
        root = tree_of(text)
    except ValueError:
        raise SettingWrong("The kubeconfig is not valid YAML", remedy=_CORRECT) from None
    if root is not None and root.id != "mapping":
        raise SettingWrong("The kubeconfig is not a YAML mapping", remedy=_CORRECT)
    if root is not None and root.flow_style:
        raise SettingWrong("The kubeconfig is JSON", remedy=_REWRITE)
    rows = text.split("\n")
    for each, key, value in members(root):
        if each == name:
            row = key.end_mark.line
            colon = rows[row].index(":", key.end_mark.column) + 1
            head, rest = rows[row][:colon], rows[row][colon:]
            if is_null(value) or (value.id == "sequence" and not value.value):
                if value.end_mark.line != row:
                    raise _in_one_line(name)
                return _List(row, head, rows[row][max(value.end_mark.column, colon) :], "", ())
            if value.id != "sequence":
                raise SettingWrong(f"The kubeconfig's {name} are not a list", remedy=_CORRECT)
            if value.flow_style or value.start_mark.line <= row:
                raise _in_one_line(name)
            column = value.start_mark.column
            return _List(row, head, rest, rows[value.start_mark.line][:column], _items(rows, value))
    return None


def _items(rows: list[str], node: Node) -> tuple[_Item, ...]:
    column = node.start_mark.column
    firsts = []
    for item in node.value:
        first = item.start_mark.line
        # The item may begin below its dash.
        while rows[first][: column + 1].strip() != "-":
            first -= 1
        firsts.append(first)
    ends = [*firsts[1:], node.end_mark.line + (node.end_mark.column > 0)]
    found = []
    for item, first, end in zip(node.value, firsts, ends, strict=True):
        after = min(end, len(rows))
        while not rows[after - 1].strip() or rows[after - 1].lstrip().startswith("#"):
            after -= 1
        found.append(_Item(item, first, after))
    return tuple(found)


def _in_one_line(name: str) -> SettingWrong:
    return SettingWrong(f"The kubeconfig's {name} are not one below the other", remedy=_REWRITE)


_CORRECT = "Correct the file, then try again."
_REWRITE = "Rewrite it with: kubectl config view --raw"
