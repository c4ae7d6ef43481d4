"""The made-up values of a trial: who signs in, and the secrets that are shown as placeholders."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

CLIENT_ID = "trial-client-id"
ISSUED_CLIENT_ID = "trial-issued-client-id"
# Letters, digits and hyphens: they look the same in an address, a form and JSON.
CLIENT_SECRET = "trial-client-secret"  # noqa: S105
API_KEY = "trial-api-key-0000000000"
KEY_SECOND = "trial-api-key-second-part"
PASSWORD = "trial-password"  # noqa: S105
CODE = "trial-code"
DEVICE_CODE = "trial-device-code"
ACCESS = "trial-access-token-"
REFRESH = "trial-refresh-token-"
POLL_TOKEN = "trial-poll-token"  # noqa: S105
REGISTRATION_TOKEN = "trial-registration-token"  # noqa: S105
REQUEST_URI = "urn:ietf:params:oauth:request_uri:trial"
USER_CODE = "TRIAL-CODE"

SUBJECT = "trial-user-1"
DID = "did:plc:trialtrialtrialtrialtria"
HANDLE = "alice.bsky.social"
PDS = "https://pds.trial.example"
TENANT = "11111111-1111-4111-8111-111111111111"

# What the provider says about the person, by the names of a preset's map.
PERSON: Mapping[str, str] = MappingProxyType(
    {
        "subject": SUBJECT,
        "name": "Alice Trial",
        "username": "alice",
        "email": "alice@trial.example",
        "avatar": "https://trial.example/alice.png",
        "plan": "trial-plan",
    }
)
