"""Finds values in other tools' YAML files, so that an edit changes only those bytes. Pure.

PyYAML only reads, because no YAML writer keeps quotes, spacing and comments. Called by the importer, for gh's
hosts.yml, and by `wire`, for a kubeconfig.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

# What YAML 1.2 does not read, or PyYAML reads as the end of a line and others do not. One character each, so
# that places stay the same.
_UNREAD = re.compile("[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]|\r(?!\n)")
_PUT = "\ufffd"
Node = Any  # PyYAML, which makes them, declares no types


def tree_of(text: str) -> Node:
    """The root node of a text, None if it holds nothing. Marks count the text's characters and lines. Raises
    ValueError if it is not one YAML document.
    """
    import yaml

    try:
        return yaml.compose(_UNREAD.sub(_PUT, text), Loader=yaml.SafeLoader)
    except (yaml.YAMLError, RecursionError):
        raise ValueError("not a YAML document") from None


def members(node: Node) -> Iterator[tuple[str, Node, Node]]:
    """The entries of a mapping: name, node of the name, node of the value. Nothing for any other node."""
    if getattr(node, "id", None) == "mapping":
        for key, value in node.value:
            if key.id == "scalar" and _PUT not in key.value:
                yield key.value, key, value


def member(node: Node, name: str) -> Node:
    """The value of this name in a mapping; None if there is none."""
    return next((value for each, _, value in members(node) if each == name), None)


def text_at(text: str, node: Node) -> tuple[str, int, int] | None:
    """A scalar's text and its place in `text`, without the quotes. None if it is empty, or not written out in
    place.
    """
    if getattr(node, "id", None) != "scalar" or not node.value or _PUT in node.value or is_null(node):
        return None
    start, end = node.start_mark.index, node.end_mark.index
    if node.style in ("'", '"') and text[start] == node.style:
        return node.value, start + 1, end - 1
    # A block, a tag or an anchor is not part of the value's own text.
    return None if node.style or text[start] in "!&" else (node.value, start, end)


def is_null(node: Node) -> bool:
    """Whether this is YAML's null, also as no text at all."""
    return bool(node.tag == "tag:yaml.org,2002:null")
