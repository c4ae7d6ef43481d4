"""`--server`: a gateway that a command administers over HTTP."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from datetime import datetime
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote, urlencode, urlsplit

import click

from keyfob.core import errors
from keyfob.core.error_codes import code_or_none
from keyfob.core.gateway_address import checked_address
from keyfob.core.http import Request, Response
from keyfob.core.secret import Secret
from keyfob.core.text import plain
from keyfob.core.times import to_rfc3339

if TYPE_CHECKING:
    from keyfob.cli.session import Session
    from keyfob.gateway.admin.operation import Operation

VARIABLE, KEY_VARIABLE = "KEYFOB_SERVER", "KEYFOB_SERVER_KEY"
DETAIL_MOST = 400  # characters
_KINDS: Mapping[int, type[errors.KeyfobError]] = {
    400: errors.Usage,
    401: errors.SettingWrong,
    403: errors.SettingWrong,
    404: errors.NotFound,
    413: errors.Usage,
    415: errors.Usage,
    429: errors.Transient,
    502: errors.PeerFault,
    503: errors.Transient,
}
F = TypeVar("F", bound=Callable[..., Any])


class RemoteServer:
    """A server's address, and the administrator's key for it. Blocking."""

    def __init__(self, session: Session, url: str, key: Secret) -> None:
        """Raises Usage for an address that a key must not be sent to."""
        self.url = checked_address(url)
        self._session = session
        self._key = key

    def ask(self, method: str, path: str, values: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What the server answers. Raises a KeyfobError: the server's own, as far as it says which."""
        body, query = None, ""
        headers = {"Authorization": f"Bearer {self._key.reveal()}", "Accept": "application/json"}
        if method == "GET":
            query = "?" + urlencode({name: _in_query(value) for name, value in (values or {}).items()})
        elif values is not None:
            body = json.dumps(values, default=_in_json).encode()
            headers["Content-Type"] = "application/json"
        request = Request(method, f"{self.url}{path}{query.rstrip('?')}", "api", headers, body)
        return _read(self._session.engine.transport.send(request), urlsplit(self.url).netloc)

    def carry_out(self, operation: Operation, values: Mapping[str, Any]) -> dict[str, Any]:
        """An operation on the server. Raises as `ask`."""
        inside = {field.name for field in operation.path_fields}
        path = operation.path.format(**{name: quote(str(values[name]), safe="") for name in inside})
        others = {name: value for name, value in values.items() if name not in inside}
        return self.ask(operation.method, path, others or None)


def server_options(function: F) -> F:
    """`--server` and `--server-key-stdin`: the command gets `server`, a RemoteServer or None. Stands below
    `pass_session`.
    """

    @wraps(function)
    def gathered(session: Session, *, server: str | None, server_key_stdin: bool, **values: object) -> object:
        return function(session, server=server_at(session, server, from_stdin=server_key_stdin), **values)

    command: Any = click.option(
        "--server-key-stdin",
        is_flag=True,
        help=f"Read the server's key from stdin. Default: the environment variable {KEY_VARIABLE}.",
    )(gathered)
    return click.option(  # type: ignore[no-any-return]
        "--server",
        envvar=VARIABLE,
        metavar="URL",
        help=f"Do this on the gateway at this address. Default: the environment variable {VARIABLE}.",
    )(command)


def server_at(session: Session, url: str | None, *, from_stdin: bool) -> RemoteServer | None:
    """The server that was named, None if none was. Raises Usage without a key."""
    if url is None:
        if from_stdin:
            raise errors.Usage("--server-key-stdin needs --server")
        return None
    if from_stdin:
        key = session.secret_from_stdin("--server-key-stdin", "The server's key")
    else:
        key = Secret(os.environ.get(KEY_VARIABLE, ""))
    if not key.reveal().strip():
        raise errors.Usage(
            "The server needs an administrator's key",
            remedy=f"Set {KEY_VARIABLE}, or pipe the key in and add --server-key-stdin.",
        )
    return RemoteServer(session, url, Secret(key.reveal().strip()))


def _in_query(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(to_rfc3339(value)) if isinstance(value, datetime) else str(value)


def _in_json(value: object) -> str | None:
    if isinstance(value, datetime):
        return to_rfc3339(value)
    raise TypeError(type(value).__name__)


def _read(response: Response, host: str) -> dict[str, Any]:
    try:
        document = json.loads(response.body)
    except ValueError:
        document = None
    if not isinstance(document, dict):
        raise errors.PeerFault(f"{host} did not answer as a gateway does", detail=str(response.status))
    if 200 <= response.status < 300:
        return document
    if response.status == 401:
        raise errors.SettingWrong(
            f"{host} does not accept the key", remedy="Use the key of an administrator of the server."
        )
    kind = _KINDS.get(response.status, errors.Fault)
    code = code_or_none(document.get("code"))
    message = plain(str(document.get("message") or document.get("detail")), DETAIL_MOST).rstrip(".")
    remedy = plain(str(document.get("remedy") or ""), DETAIL_MOST) or None
    raise kind(message, code=code, remedy=remedy, detail=f"{host}: {response.status}")
