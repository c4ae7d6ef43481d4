"""Web sign-in as the environment describes it."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence

from keyfob.core.errors import SettingWrong
from keyfob.core.secret import Secret
from keyfob.gateway.web.client_keys import ClientKeySet, read_keys
from keyfob.gateway.web.events import Observer
from keyfob.gateway.web.settings import AppRegistration, WebSettings
from keyfob.gateway.web.web_sign_in import WebSignIn

SECRETS, CLIENT_KEYS, DATABASE = "KEYFOB_WEB_SECRET_KEYS", "KEYFOB_WEB_CLIENT_KEYS", "KEYFOB_DATABASE_URL"


def secret_keys_in(environment: Mapping[str, str]) -> list[Secret]:
    """The secret keys, newest first, separated by commas or blanks; none if they are not set."""
    given = environment.get(SECRETS, "").strip()
    return [Secret(each) for each in re.split(r"[\s,]+", given)] if given else []


def client_keys_in(environment: Mapping[str, str]) -> ClientKeySet | None:
    """The client's private keys, None if they are not set. Raises SettingWrong."""
    given = environment.get(CLIENT_KEYS)
    return read_keys(Secret(given)) if given else None


def from_environment(
    public_url: str,
    apps: Sequence[AppRegistration],
    *,
    client_name: str = "Keyfob",
    observers: Sequence[Observer] = (),
    environment: Mapping[str, str] | None = None,
) -> WebSignIn:
    """With the database of KEYFOB_DATABASE_URL, the secret keys of KEYFOB_WEB_SECRET_KEYS (newest first,
    separated by commas) and the client's private keys of KEYFOB_WEB_CLIENT_KEYS (a JWK, or a JWK Set with the
    newest first), if there are any. `environment` is `os.environ` by default. Raises SettingWrong, Transient
    if the database cannot be reached.
    """
    found = os.environ if environment is None else environment
    url = found.get(DATABASE)
    if not url:
        raise SettingWrong(
            f"{DATABASE} is not set", remedy="Use sqlite:////path/to/file.db or postgresql://…"
        )
    settings = WebSettings(public_url, apps, secret_keys_in(found), client_name=client_name)
    return WebSignIn(settings, url, client_keys=client_keys_in(found), observers=observers)
