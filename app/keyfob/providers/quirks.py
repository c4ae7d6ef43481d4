"""Named quirks: what a preset needs and data cannot say.

A preset lists names; the protocol code that knows a name does the rest. Whatever a field of the schema can say
is not a quirk. A name that is not in `QUIRKS` is a fault of the preset.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

QUIRKS: Mapping[str, str] = MappingProxyType(
    {
        "dynamic_agent_client": (
            "The first authorization request carries the client id `dynamic_agent_client`; the callback brings "
            "the issued one, which is kept with the account and used from then on (Sign in with ChatGPT)."
        ),
        "openrouter_keys": (
            "The authorization page takes `callback_url` and a PKCE challenge, sends back a code without state, "
            "and the code is traded for a lasting key instead of a token (OpenRouter)."
        ),
        "mastodon_apps": (
            "The client is registered at the person's instance through `/api/v1/apps` in place of RFC 7591 "
            "(Mastodon and servers that speak its API)."
        ),
        "login_flow_v2": (
            "The server opens a page of its own and hands out an app password when polled (Nextcloud)."
        ),
        "state_in_token_request": (
            "The code exchange repeats the state of the authorization request (Claude)."
        ),
    }
)
