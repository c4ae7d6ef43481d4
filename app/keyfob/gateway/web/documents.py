"""The client metadata document of this server (the OAuth Client ID Metadata Document draft, atproto's
profile).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from keyfob.core.access import default_access, scopes_for
from keyfob.core.errors import NotFound
from keyfob.core.provider import Provider
from keyfob.gateway.web.client_keys import ClientKeySet
from keyfob.gateway.web.clients import ATPROTO_ALG
from keyfob.gateway.web.settings import AppRegistration, WebSettings
from keyfob.protocol.atproto.client_metadata import client_metadata as document_of


def client_metadata(
    settings: WebSettings,
    keys: ClientKeySet,
    apps: Sequence[tuple[AppRegistration, Provider]],
    now: datetime,
) -> dict[str, Any]:
    """What is at `settings.client_id`: for each app registration whose client id it is. Raises NotFound if
    there is none.
    """
    own = [
        (app, preset)
        for app, preset in apps
        if app.client_id == settings.client_id or (app.client_id is None and "atproto" in preset.methods)
    ]
    if not own:
        raise NotFound("No app registration of this server uses a client metadata document")
    scopes: dict[str, None] = {}
    for app, preset in own:
        asked = app.scopes
        if asked is None:
            asked = scopes_for(preset, default_access(preset), base=preset.scopes)
        scopes.update(dict.fromkeys(asked))
    first = next((preset for _, preset in own if "atproto" in preset.methods), own[0][1])
    key = keys.newest(now, ATPROTO_ALG if "atproto" in first.methods else None)
    return document_of(
        first,
        settings.client_id,
        redirect_uris=[settings.callback_url],
        scopes=tuple(scopes),
        keys=[key] if key else [],
        client_name=settings.client_name,
        client_uri=settings.client_uri,
        jwks_uri=settings.jwks_uri,
    )
