"""How a user can sign in: the methods, and the facts about each that other code needs.

To add a method, declare it here with its facts, write its flow in `protocol`, add a file and a case in
`service/sign_in`, and name it in `cli.words` and `desktop.shared.method_words`. mypy and the tests list each
place that is missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal, get_args

# Presets, stored rows and the JSON interface carry these words as they are, so a word never changes.
Method = Literal["oauth", "device", "atproto", "api_key", "app_password", "password", "client_credentials"]
METHODS: tuple[Method, ...] = get_args(Method)


@dataclass(frozen=True, slots=True)
class MethodFacts:
    """What holds for every account of a sign-in method, whatever its provider."""

    renewable: bool = True  # Keyfob renews its tokens; otherwise they live until they are refused
    revocable: bool = True  # a disconnect can revoke what it gave, if the provider offers that
    needs_client: bool = False  # it needs a client id
    endpoints: tuple[str, ...] = ()  # that a preset names, unless it has discovery
    server_from_preset: bool = False  # a preset that names another server asks the user to sign in again
    comes_back: bool = False  # the browser comes back to a redirect
    shows_code: bool = False  # the user enters a code at the provider
    asks_for: Literal["api_key", "password"] | None = None  # the secret that the user gives to Keyfob
    by_client: bool = False  # the client is the account: its own secret renews the tokens


METHOD_FACTS: Mapping[Method, MethodFacts] = MappingProxyType(
    {
        "oauth": MethodFacts(
            needs_client=True,
            endpoints=("authorization_endpoint", "token_endpoint"),
            server_from_preset=True,
            comes_back=True,
        ),
        "device": MethodFacts(
            needs_client=True,
            endpoints=("device_authorization_endpoint", "token_endpoint"),
            server_from_preset=True,
            shows_code=True,
        ),
        "atproto": MethodFacts(comes_back=True),
        "api_key": MethodFacts(renewable=False, revocable=False, asks_for="api_key"),
        "app_password": MethodFacts(renewable=False),
        "password": MethodFacts(
            revocable=False, needs_client=True, endpoints=("token_endpoint",), asks_for="password"
        ),
        "client_credentials": MethodFacts(
            needs_client=True, endpoints=("token_endpoint",), server_from_preset=True, by_client=True
        ),
    }
)


def holds_key(method: Method) -> bool:
    """Whether an account has a key that the user made, instead of tokens that a sign-in gave."""
    return METHOD_FACTS[method].asks_for == "api_key"
