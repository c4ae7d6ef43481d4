"""The access portal of AWS IAM Identity Center: which accounts and roles somebody has, and short-lived keys
for a role.

Called by `service.accounts.aws_roles`. Rests on AWS's API model (sso, 2019-06-10). Sends the token only to
the portal's address that the account was signed in with.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from keyfob.core.errors import PeerFault, SignInNeeded, Usage
from keyfob.core.http import Request, Response
from keyfob.core.secret import Secret
from keyfob.core.text import plain
from keyfob.core.times import from_epoch
from keyfob.protocol.effects import Flow, Send
from keyfob.protocol.http.responses import failure, read_json
from keyfob.protocol.http.urls import safe

WHO = "AWS"
WHAT = "AWS's access portal"
TOKEN_HEADER = "x-amz-sso_bearer_token"  # noqa: S105  (a header's name)
PAGES_MOST = 50
PAGE = 100  # entries; the service's most
_LATEST = 253_402_300_799_000  # milliseconds: the year 9999


@dataclass(frozen=True, slots=True)
class AwsRole:
    """A role that somebody may take in an AWS account."""

    account_id: str
    account_name: str
    role: str


@dataclass(frozen=True, slots=True)
class RoleKeys:
    """Short-lived keys for a role."""

    access_key_id: str
    secret_access_key: Secret
    session_token: Secret
    expires_at: datetime


def roles(base: str, token: Secret) -> Flow[list[AwsRole]]:
    """Every role of every account, in the portal's order. Raises SignInNeeded `token_rejected`, Transient,
    PeerFault.
    """
    found: list[AwsRole] = []
    for account in (yield from _pages(base, "/assignment/accounts", {}, token, "accountList")):
        account_id, name = account.get("accountId"), account.get("accountName")
        if not isinstance(account_id, str):
            continue
        query = {"account_id": account_id}
        for role in (yield from _pages(base, "/assignment/roles", query, token, "roleList")):
            role_name = role.get("roleName")
            if isinstance(role_name, str):
                called = plain(name, 100) if isinstance(name, str) else ""
                found.append(AwsRole(account_id, called, role_name))
    return found


def role_keys(base: str, token: Secret, account_id: str, role: str) -> Flow[RoleKeys]:
    """GetRoleCredentials. Raises Usage `role_unknown` for a role that the person does not have, SignInNeeded
    `token_rejected`, Transient, PeerFault.
    """
    query = {"role_name": role, "account_id": account_id}
    response = yield from _asked(base, "/federation/credentials", query, token)
    if response.status in (403, 404):
        raise Usage(
            f"AWS does not give you the role {plain(role, 80)} in the account {plain(account_id, 20)}",
            code="role_unknown",
        )
    answer = read_json(response, WHAT, who=WHO).get("roleCredentials")
    return _keys_in(answer if isinstance(answer, Mapping) else {})


def _keys_in(answer: Mapping[str, Any]) -> RoleKeys:
    texts = [answer.get(name) for name in ("accessKeyId", "secretAccessKey", "sessionToken")]
    ends = answer.get("expiration")
    if not all(isinstance(text, str) and text.isascii() and text.isprintable() and text for text in texts):
        raise PeerFault("AWS sent no usable keys", code="response_invalid")
    if isinstance(ends, bool) or not isinstance(ends, int) or not 0 < ends <= _LATEST:
        raise PeerFault("AWS did not say when its keys expire", code="response_invalid")
    key, secret, session = (str(text) for text in texts)
    return RoleKeys(key, Secret(secret), Secret(session), from_epoch(ends / 1000))


def _pages(
    base: str, path: str, query: Mapping[str, str], token: Secret, name: str
) -> Flow[list[Mapping[str, Any]]]:
    """The entries of a list that comes in pages."""
    found: list[Mapping[str, Any]] = []
    following: dict[str, str] = {}
    for _ in range(PAGES_MOST):
        asked = {**query, "max_result": str(PAGE), **following}
        answer = read_json((yield from _asked(base, path, asked, token)), WHAT, who=WHO)
        entries = answer.get(name)
        found += [each for each in entries if isinstance(each, Mapping)] if isinstance(entries, list) else []
        more = answer.get("nextToken")
        if not isinstance(more, str) or not more:
            break
        following = {"next_token": more}
    return found


def _asked(base: str, path: str, query: Mapping[str, str], token: Secret) -> Flow[Response]:
    url = safe(f"{base.rstrip('/')}{path}?{urlencode(query)}", "The address of the access portal")
    headers = {"Accept": "application/json", TOKEN_HEADER: token.reveal()}
    response: Response = yield Send(Request("GET", url, "api", headers))
    if response.status == 401:
        raise SignInNeeded("AWS does not accept this token", code="token_rejected")
    if not 200 <= response.status < 300 and response.status not in (403, 404):
        raise failure(response, WHAT, who=WHO)
    return response
