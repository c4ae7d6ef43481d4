"""Before a sign-in: the request is checked, and everything that can be decided without the provider is
decided.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from keyfob.core.access import bundle
from keyfob.core.account import Account, Record
from keyfob.core.errors import NotFound, SettingWrong, Usage
from keyfob.core.methods import METHOD_FACTS, Method, holds_key
from keyfob.core.provider import Provider
from keyfob.core.secret import Secret
from keyfob.core.text import plain
from keyfob.core.words import known
from keyfob.ports import AccountRecords, Entropy, Spawn
from keyfob.providers.catalogue import Catalogue
from keyfob.providers.keys import check_key
from keyfob.service.accounts.accounts import Accounts
from keyfob.service.accounts.asked_label import asked_label
from keyfob.service.accounts.disconnecting import Disconnector
from keyfob.service.accounts.views import Progress, SignInRequest
from keyfob.service.sign_in.attempt import Attempt
from keyfob.service.sign_in.clients import Clients, allowed_host
from keyfob.service.sign_in.new_account import server_inputs
from keyfob.service.sign_in.prepared import PreparedSignIn


class Preparation:
    """Blocking and thread-safe."""

    def __init__(
        self,
        catalogue: Catalogue,
        store: AccountRecords,
        accounts: Accounts,
        disconnector: Disconnector,
        clients: Clients,
        entropy: Entropy,
    ) -> None:
        self._catalogue = catalogue
        self._store = store
        self._accounts = accounts
        self._disconnector = disconnector
        self._clients = clients
        self._entropy = entropy

    def begin(self, request: SignInRequest) -> Attempt:
        """Checks the request and makes an attempt; nothing is sent or opened yet. Raises NotFound, Usage
        (`key_unfit` for a key that cannot be one of this provider, `access_unknown`), SettingWrong
        `method_not_offered`.
        """
        record = self._record(request)
        provider = self._catalogue.get(record.account.provider if record else request.provider)
        method = _method(provider, request, record)
        _check_access(provider, request)
        if holds_key(method) and request.api_key:
            check_key(provider, self._catalogue.all(), Secret(request.api_key.reveal().strip()))
        if request.label and record is None:
            self._refuse_taken(f"{provider.id}/{asked_label(request.label)}")
        paste = (provider.redirect.paste or "url") if METHOD_FACTS[method].comes_back else None
        progress = Progress("preparing", provider.id, provider.title, method, paste=paste)
        return Attempt(self._entropy(16), replace(request, provider=provider.id, method=method), progress)

    def prepare(self, attempt: Attempt, spawn: Spawn) -> PreparedSignIn:
        """Finishes what an earlier disconnect left, and settles the attempt's facts. Raises
        NotFound, Usage.
        """
        request = attempt.request
        record = self._record(request)
        if record is not None:
            if record.cleanup:
                self._disconnector.clean_up(record.account.key)
            # Now, while the old sign-in can still be revoked without the new one.
            self._disconnector.settle_all(record.account.key)
        preset = self._catalogue.get(request.provider)
        inputs = self._clients.inputs(preset, request, record)
        if record is not None:
            _refuse_elsewhere(record, inputs)
        return PreparedSignIn(
            attempt,
            self._clients.filled(preset, inputs, allowed_host(request, record)),
            attempt.progress.method,
            record.account.key if record else self._entropy(12),
            inputs,
            record,
            spawn,
        )

    def handed_over(self, account: Account, label: str | None, *, plain_host: bool) -> PreparedSignIn:
        """For a new account that another computer signed in to. `label`: as asked for. `plain_host`: whether
        its server may be asked without TLS. Raises SettingWrong if this computer lacks its preset or its
        method, Usage.
        """
        try:
            preset = self._catalogue.get(account.provider)
        except NotFound:
            raise SettingWrong(
                f"The server has no preset {plain(account.provider, 60)}", code="preset_absent"
            ) from None
        host = account.pin.plain_host if plain_host else None
        request = SignInRequest(
            preset.id, account.method, label=label, inputs=account.pin.inputs, allow_http=host
        )
        method = _method(preset, request, None)
        if label is not None:
            self._refuse_taken(f"{preset.id}/{asked_label(label)}")
        inputs = self._clients.inputs(preset, request, None)
        return PreparedSignIn(
            Attempt(self._entropy(16), request, Progress("preparing", preset.id, preset.title, method)),
            self._clients.filled(preset, inputs, host),
            method,
            self._entropy(12),
            inputs,
            None,
            lambda _work, _name: None,
        )

    def _record(self, request: SignInRequest) -> Record | None:
        return self._accounts.resolve(request.account) if request.account else None

    def _refuse_taken(self, account_id: str) -> None:
        if any(record.account.id == account_id for record in self._store.records()):
            raise Usage(f"There is an account {account_id} already", code="label_taken")


def _method(provider: Provider, request: SignInRequest, record: Record | None) -> Method:
    asked = request.method or (record.account.method if record else provider.methods[0])
    method = known(provider.methods, asked)
    if method is None:
        offered = ", ".join(provider.methods)
        raise SettingWrong(
            f"{provider.title} does not offer {asked}. It offers {offered}", code="method_not_offered"
        )
    if record and method != record.account.method and not request.switch_method:
        raise Usage(
            f"{record.account.id} signs in with {record.account.method}",
            code="method_differs",
            facts={"account": record.account.id, "method": method},
        )
    return method


def _check_access(provider: Provider, request: SignInRequest) -> None:
    for name in request.access or ():
        if bundle(provider, name) is None:
            offered = ", ".join(each.id for each in provider.access)
            raise Usage(
                f"{provider.title} has no access called {plain(name, 60)}",
                code="access_unknown",
                facts={"offered": offered, "provider": provider.id},
            )


def _refuse_elsewhere(record: Record, inputs: Mapping[str, str]) -> None:
    """Another server's subject of the same name is another user: an account never moves."""
    for name, value in server_inputs(record.account.pin.inputs).items():
        if inputs.get(name, value) != value:
            raise Usage(
                f"{record.account.id} is an account at {plain(value, 60)}",
                code="server_differs",
                facts={"server": inputs[name]},
            )
