"""Named quirks: what a preset needs and cannot express as data. Each is
declared here, with the facts that other code needs.

A preset lists names, and `protocol.oauth.provider_quirks` has the code for them. To add one, declare it here
and write its code there. If a key of a preset can express something, it is not a quirk.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from keyfob.core.methods import Method

QuirkName = Literal[
    "dynamic_agent_client", "openrouter_keys", "mastodon_apps", "login_flow_v2", "state_in_token_request",
    "aws_sso_oidc",
]  # fmt: skip
# How the client comes about with a quirk: registered by the quirk's own
# code, issued by the sign-in itself, or not needed.
QuirkClient = Literal["registered", "issued", "none"]


@dataclass(frozen=True, slots=True)
class Quirk:
    """How one provider departs from the standards, for presets that name it."""

    meaning: str
    client: QuirkClient | None = None  # None: as the preset's policy says
    shared_client_id: str | None = (
        None  # the client id that all apps use at first, which Keyfob's presets may contain
    )
    method: Method | None = None  # the method that works through this quirk alone


QUIRKS: Mapping[QuirkName, Quirk] = MappingProxyType(
    {
        "dynamic_agent_client": Quirk(
            "The first authorization request carries the client id `dynamic_agent_client`. The callback "
            "returns the issued one, which is saved with the account and used from then on (Sign in with "
            "ChatGPT).",
            client="issued",
            shared_client_id="dynamic_agent_client",
        ),
        "openrouter_keys": Quirk(
            "The authorization page takes `callback_url` and a PKCE challenge, returns a code without a "
            "state, and Keyfob exchanges the code for a permanent key instead of a token (OpenRouter).",
            client="none",
        ),
        "mastodon_apps": Quirk(
            "The client is registered at the user's instance through `/api/v1/apps` instead of RFC 7591 "
            "(Mastodon and servers with its API).",
            client="registered",
        ),
        "login_flow_v2": Quirk(
            "The server opens its own page, and returns an app password when Keyfob polls it (Nextcloud).",
            method="app_password",
        ),
        "aws_sso_oidc": Quirk(
            "Requests and answers are JSON with names in camel case, the client is registered by AWS's own "
            "RegisterClient, and the token gives short-lived keys for roles (AWS IAM Identity Center).",
            client="registered",
        ),
        "state_in_token_request": Quirk(
            "The code exchange repeats the state of the authorization request (Claude)."
        ),
    }
)


def client_of(names: Iterable[QuirkName]) -> QuirkClient | None:
    """How a preset's quirks get the client, if one of them does."""
    return next((QUIRKS[name].client for name in names if QUIRKS[name].client is not None), None)
