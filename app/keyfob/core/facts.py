"""What an error is about, as values, for the sentence that says what to do about it.

Each face has its own table of sentences, one for each code. A sentence is a template: `{account}` stands for
that fact, and a part in brackets that names a fact, such as `[ {account}]`, is left out while the fact is not
known. So every sentence reads well with and without its facts.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TypedDict

from keyfob.core.error_codes import ErrorCode
from keyfob.core.methods import Method
from keyfob.core.text import plain

FACT_MOST = 400  # characters


class Facts(TypedDict, total=False):
    """None of them is secret. They may hold what a user, a file or a provider named."""

    access: str  # a bundle of the preset, as `--access` names it
    account: str  # its id, `provider/label`
    command: str  # to type
    example: str  # a value that would do
    hint: str  # of a preset, about its keys
    hosts: str
    method: Method
    name: str  # of a value that the preset asks for
    offered: str  # the names to choose from
    page: str  # an address of the provider, to open in a browser
    pid: int  # of the agent's process
    path: str  # a file or a folder, or where a setting is made
    provider: str  # its id
    redirect: str  # the redirect URI to register
    server: str


Remedies = Mapping[ErrorCode, str]
_PART = re.compile(r"\[([^\[\]]*\{\w+\}[^\[\]]*)\]")
_NAME = re.compile(r"\{(\w+)\}")


def filled(template: str, facts: Facts) -> str:
    """The sentence, with its facts."""
    known = {name: plain(str(value), FACT_MOST) for name, value in facts.items() if value}

    def part(found: re.Match[str]) -> str:
        text = found[1]
        return _named(text, known) if set(_NAME.findall(text)) <= set(known) else ""

    return _PART.sub(part, template)


def _named(text: str, known: Mapping[str, str]) -> str:
    return _NAME.sub(lambda name: known[name[1]], text)
