"""A preset for a server that takes tokens, such as an MCP server, from its address alone.

The server's own metadata (RFC 9728) leads to its authorization server. Called by `keyfob connect URL`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import chain, count
from urllib.parse import urlsplit

from keyfob.core.errors import PeerFault, SettingWrong
from keyfob.core.facts import Facts
from keyfob.core.hosts import is_listed, site
from keyfob.core.provider import Provider
from keyfob.core.settings import Settings
from keyfob.protocol.http.urls import origin_of
from keyfob.protocol.oauth.protected_resource import ProtectedResource, find_resource, same_address
from keyfob.providers.catalogue import Catalogue
from keyfob.service.new_presets import Added, Found, NewPreset, Presets
from keyfob.service.runner import Runner


@dataclass(frozen=True, slots=True)
class Looked:
    """What the server at an address says of itself, and its authorization server."""

    url: str
    resource: ProtectedResource
    issuer: str
    server: Found

    @property
    def elsewhere(self) -> bool:
        """Whether the user signs in at another site than the server's own. Its tokens then go to a server
        that the authorization server may know nothing of.
        """
        return site(urlsplit(self.url).hostname or "") != site(urlsplit(self.issuer).hostname or "")


class ResourceServers:
    """Blocking and thread-safe."""

    def __init__(self, catalogue: Catalogue, presets: Presets, runner: Runner) -> None:
        self._catalogue, self._presets, self._runner = catalogue, presets, runner

    def known(self, url: str) -> Provider | None:
        """The user's own preset whose tokens are for the server at `url`."""
        for preset in self._catalogue.all():
            if preset.origin != "user" or preset.resource is None:
                continue
            if same_address(preset.resource, url) and _may_go_to(preset, urlsplit(url).netloc):
                return preset
        return None

    def look(self, url: str) -> Looked:
        """Asks the server at `url` about itself. Raises what `find_resource` and `Presets.server` raise."""
        found = self._runner.run(find_resource(url))
        return Looked(url, found, *self._server(found))

    def add(self, looked: Looked, *, client_id: str | None, settings: Settings) -> Added:
        """Writes a preset that is named after the server's host. It replaces none. With `client_id` no client
        is registered.

        Raises what `Presets.add` raises; SettingWrong `client_missing` if the authorization server registers
        no clients and `client_id` is None.
        """
        found, url, issuer = looked.resource, looked.url, looked.issuer
        host = urlsplit(url).netloc
        kind, server = looked.server
        if client_id is None and server.endpoints.registration_endpoint is None:
            redirect = f"http://127.0.0.1:{settings.callback_port}/callback"
            facts: Facts = {"redirect": redirect}
            message = (
                f"{urlsplit(issuer).netloc}, where {host} signs in, does not register apps automatically"
            )
            raise SettingWrong(message, code="client_missing", facts=facts)
        # Without it most servers give no refresh token, and the user would sign in again each hour.
        lasting = ("offline_access",) if "offline_access" in (server.scopes_supported or ()) else ()
        new = NewPreset(
            self._free_id(url),
            title=host,
            issuer=issuer,
            client_id=client_id,
            register=client_id is None,
            scopes=tuple(dict.fromkeys((*found.scopes, *lasting))),
            usual_scopes=False,
            api_base=origin_of(url),
            resource=found.resource,
        )
        return self._presets.add(new, (kind, server))

    def _server(self, found: ProtectedResource) -> tuple[str, Found]:
        """The issuer and its server. Many documents name an issuer without a path with a slash at its end,
        which some libraries add.
        """
        asked = NewPreset("asked", issuer=found.issuer)
        try:
            return found.issuer, self._presets.server(asked)
        except PeerFault as error:
            bare = found.issuer.removesuffix("/")
            if error.code != "issuer_mismatch" or urlsplit(found.issuer).path != "/":
                raise
            return bare, self._presets.server(NewPreset("asked", issuer=bare))

    def _free_id(self, url: str) -> str:
        """The host; the host and the path if that name is taken; with a number if both are."""
        parts = urlsplit(url)
        longer = _slug(f"{parts.netloc} {parts.path}")
        names = chain((_slug(parts.netloc), longer), (f"{longer}-{n}" for n in count(2)))
        return next(name for name in names if self._presets.in_the_way(name) is None)


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")


def _may_go_to(preset: Provider, host: str) -> bool:
    base = urlsplit(preset.api.base or "").netloc
    return is_listed(host, (base, *preset.api.hosts))
