"""Keyfob on another computer: the accounts in what `keyfob export` printed."""

from __future__ import annotations

from collections.abc import Iterator

from keyfob.core.methods import METHODS
from keyfob.core.provider import EMPTY
from keyfob.core.words import known
from keyfob.tools.entries import SIGN_IN, Entry, Format, text_in
from keyfob.tools.text_places import json_object
from keyfob.tools.tool import Tool


def exported(text: str) -> Iterator[Entry]:
    """What `keyfob export` printed."""
    body = json_object(text)
    presets = body.get("presets")
    for account in body.get("accounts") or [] if body.get("keyfob_export") == 1 else []:
        if not isinstance(account, dict) or not isinstance(account.get("provider"), str):
            continue
        inputs = account.get("inputs")
        yield Entry(
            SIGN_IN,
            provider=account["provider"],
            username=text_in(account, "label"),
            label=text_in(account, "label"),
            subject=text_in(account, "subject") or "",
            name=text_in(account, "name"),
            method=known(METHODS, account.get("method")),
            client_id=text_in(account, "client_id"),
            scopes=tuple(str(scope) for scope in account.get("scopes") or ()),
            inputs={str(k): str(v) for k, v in inputs.items()} if isinstance(inputs, dict) else EMPTY,
            preset=text_in(presets, account["provider"]) if isinstance(presets, dict) else None,
            reason="An export contains no secret, so you sign in to this account once on this computer",
        )


TOOL = Tool(
    "keyfob",
    formats=(
        Format(
            "keyfob",
            "a Keyfob export",
            exported,
            lambda _, body: body is not None and "keyfob_export" in body,
        ),
    ),
)
