"""Names and ids that fit the other format, and reasoning that comes back to its maker."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Iterable
from typing import Final

from keyfob.gateway.llm.parts import Reasoning

NAME_LIMIT: Final = 64  # of OpenAI; Anthropic takes 128 characters
_UNSAFE: Final = re.compile(r"[^a-zA-Z0-9_-]")
_CARRIER: Final = "keyfob.openai."


def tool_name(name: str) -> str:
    """The name, cut to what OpenAI takes. The hash keeps names apart that begin alike."""
    return name if len(name) <= NAME_LIMIT else f"{name[: NAME_LIMIT - 9]}_{_hash(name)}"


def long_names(names: Iterable[str]) -> dict[str, str]:
    """The cut names with the whole ones."""
    return {tool_name(name): name for name in names if len(name) > NAME_LIMIT}


def call_id(value: str) -> str:
    """The id of a call, in characters and a length that every vendor takes. Equal ids stay equal."""
    if len(value) <= NAME_LIMIT and not _UNSAFE.search(value):
        return value
    return f"{_UNSAFE.sub('_', value)[: NAME_LIMIT - 9]}_{_hash(value)}"


def answer_id(source: str, prefix: str) -> str:
    """An id for an answer, made of the source's id."""
    kind, mark, rest = source.partition("_")
    if not mark:
        kind, mark, rest = source.partition("-")
    return prefix + (rest if mark else kind)


def as_signature(reasoning: Reasoning) -> str:
    """OpenAI's reasoning as a signature of Anthropic's form: programs give signatures back unchanged."""
    packed = json.dumps([reasoning.item_id, reasoning.proof], separators=(",", ":"))
    return _CARRIER + base64.urlsafe_b64encode(packed.encode()).decode()


def from_signature(text: str, signature: str) -> Reasoning:
    """The reasoning of a thinking block, whoever made it."""
    if not signature.startswith(_CARRIER):
        return Reasoning(text, signature or None, "anthropic")
    try:
        item_id, proof = json.loads(base64.urlsafe_b64decode(signature.removeprefix(_CARRIER)))
    except (ValueError, binascii.Error):
        return Reasoning(text)
    if not isinstance(proof, str) or not isinstance(item_id, str | None):
        return Reasoning(text)
    return Reasoning(text, proof, "openai", item_id)


def _hash(value: str) -> str:
    return hashlib.sha256(value.encode()).hexdigest()[:8]
