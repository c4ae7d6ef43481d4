"""The label that a user typed for an account, at a sign-in and for a rename alike."""

from __future__ import annotations

from keyfob.core.errors import Usage
from keyfob.core.text import label_in, plain


def asked_label(text: str) -> str:
    """The label: `My Work` is `my-work`. Raises Usage `label_wrong` for a text of no allowed letter."""
    label = label_in(text)
    if not label:
        raise Usage(
            f"A label cannot be {plain(text, 64)!r}", code="label_wrong", facts={"example": "my-account"}
        )
    return label
