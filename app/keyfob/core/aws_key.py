"""AWS key pairs among the keys that an account may hold, in the forms that AWS tools and services print. Pure
and thread-safe.
"""

from __future__ import annotations

import json
import re
from typing import Any

from keyfob.core.secret import Secret

# The names that key files, `aws sts` and service answers use for the same four things.
NAMES = {
    "AccessKeyId": ("AccessKeyId", "aws_access_key_id", "access_key_id", "accessKeyId", "access_key"),
    "SecretAccessKey": (
        "SecretAccessKey",
        "aws_secret_access_key",
        "secret_access_key",
        "secretAccessKey",
        "secret_key",
    ),
    "SessionToken": ("SessionToken", "aws_session_token", "session_token", "sessionToken"),
    "Expiration": ("Expiration", "expiration", "expires_at"),
}
_PAIR = re.compile(r"([A-Z0-9]{16,128}):([A-Za-z0-9/+=_-]{16,})")


def key_pair(key: Secret) -> dict[str, str] | None:
    """The members of a `credential_process` answer in a stored key; None if it holds no key pair."""
    text = key.reveal().strip()
    pair = _PAIR.fullmatch(text)
    if pair is not None:
        return {"AccessKeyId": pair[1], "SecretAccessKey": pair[2]}
    try:
        body: Any = json.loads(text)
    except ValueError:
        return None
    if isinstance(body, dict) and isinstance(body.get("Credentials"), dict):
        body = body["Credentials"]
    if not isinstance(body, dict):
        return None
    found: dict[str, str] = {}
    for name, spellings in NAMES.items():
        value = next((body[word] for word in spellings if isinstance(body.get(word), str)), None)
        if value:
            found[name] = value
    return found if {"AccessKeyId", "SecretAccessKey"} <= found.keys() else None
