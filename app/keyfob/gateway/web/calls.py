"""Calls of a provider's API as the person of a session. The credentials are put on here, and go nowhere
else.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from keyfob.core.http import Request, Response
from keyfob.core.provider import EMPTY
from keyfob.gateway.web.clients import Clients
from keyfob.gateway.web.renewals import Renewals
from keyfob.gateway.web.sessions import SessionKey, Stored
from keyfob.gateway.web.settings import WebSettings
from keyfob.protocol import dpop
from keyfob.protocol.env import FlowEnv
from keyfob.protocol.token_placement import api_of, place_token, token_values
from keyfob.service.accounts.signer import address_of, refuse_headers, with_scheme
from keyfob.service.runner import Runner


@dataclass(frozen=True, slots=True)
class ApiResponse:
    """What the API answered. Header names are lower case. Redirects are not followed."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    def json(self) -> Any:  # noqa: ANN401  (what the API says)
        """The body as JSON. Raises ValueError."""
        return json.loads(self.body)

    @property
    def text(self) -> str:
        """The body as UTF-8."""
        return self.body.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class ApiCall:
    """What to ask. `target` is a path of the API, or an address at one of its hosts."""

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=lambda: EMPTY, repr=False)
    body: bytes | None = field(default=None, repr=False)


class Calls:
    """Blocking and thread-safe."""

    def __init__(
        self, settings: WebSettings, clients: Clients, renewals: Renewals, runner: Runner, env: FlowEnv
    ) -> None:
        """`runner` has the transport for APIs."""
        self._settings, self._clients, self._renewals = settings, clients, renewals
        self._runner, self._env = runner, env

    def call(self, key: SessionKey, wanted: ApiCall) -> ApiResponse:
        """The API's answer. After a 401 the token is replaced and the call repeated, once. Raises
        SignInNeeded if the session has ended, SettingWrong `host_not_allowed`, Usage for a header that is
        not the caller's to set, Transient.
        """
        found = self._renewals.fresh(key)
        response = self._once(found, wanted)
        if response.status == 401 and found.grant is not None and found.grant.renewable:
            found = self._renewals.fresh(key, rejected=found.grant.access)
            response = self._once(found, wanted)
        return ApiResponse(response.status, response.headers, response.body)

    def _once(self, found: Stored, wanted: ApiCall) -> Response:
        record, grant = found.record, found.grant
        assert record is not None
        assert grant is not None
        account = record.account
        context = self._clients.context(self._settings.app(found.app), record, found.client, grant.key)
        api = api_of(context.provider, account.method)
        refuse_headers(wanted.headers.items(), api)
        url = address_of(record, context.provider, wanted.target)
        request = place_token(
            with_scheme(api, grant),
            Request(wanted.method.upper(), url, "api", dict(wanted.headers), wanted.body),
            grant.access,
            token_type=grant.token_type,
            values=token_values(account.pin.inputs, account.pin.client_id, account.subject),
        )
        return self._runner.run(dpop.send(request, key=grant.key, env=self._env, access=grant.access))
