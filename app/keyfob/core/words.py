"""The fixed words of the domain, as types: what an account, a preset and a sign-in may say.

Presets, stored rows and the JSON interface carry these words as they are, so a word never changes. Text from outside
becomes one of them only where it is checked: presets in `providers.schema`, rows in `adapters.store_codec`, and
requests in the service that takes them. A `match` over one of them ends in `assert_never`.
"""

from __future__ import annotations

from typing import Literal, TypeVar, get_args

# How a person signs in.
Method = Literal["oauth", "device", "atproto", "api_key", "app_password", "password"]
METHODS: tuple[Method, ...] = get_args(Method)
# The methods whose tokens Keyfob renews by itself; the others hold something that lives until it is refused.
RENEWABLE_METHODS: frozenset[Method] = frozenset(METHODS) - {"api_key", "app_password"}

W = TypeVar("W", bound=str)


def known(words: tuple[W, ...], text: object) -> W | None:
    """`text` as the one of `words` that it is, or None."""
    return next((word for word in words if word == text), None)
