"""What a tool gets of an account: whether it may have the token at all,
and the token with the header that carries it.

`fresh.py` imports this in a process that lives for one token, so it stays light.
"""

from __future__ import annotations

from dataclasses import replace

from keyfob.core.account import Record
from keyfob.core.aws_key import key_pair
from keyfob.core.error_codes import ErrorCode
from keyfob.core.errors import SettingWrong, Usage
from keyfob.core.facts import Facts
from keyfob.core.grant import Grant
from keyfob.core.http import Request
from keyfob.core.methods import holds_key
from keyfob.core.provider import Api, Provider
from keyfob.core.secret import Secret
from keyfob.protocol.token_placement import api_of, place_token, token_values
from keyfob.service.accounts.views import Token


def shareable(provider: Provider, record: Record) -> bool:
    """Whether other tools may have this account's token. A preset's `share = false` binds the sign-in that
    its terms are about; an API key is the user's own to use, and so is a client that they registered in their
    own preset.
    """
    return provider.policy.share or holds_key(record.account.method)


def refuse_sharing(record: Record, provider: Provider) -> None:
    """Raises SettingWrong `sharing_not_allowed` if other tools may not have this account's token."""
    if not shareable(provider, record):
        reason = provider.policy.share_reason or f"{provider.title} does not let other tools use its tokens"
        raise SettingWrong(reason, code="sharing_not_allowed")


def token_of(record: Record, provider: Provider, grant: Grant) -> Token:
    """The grant's access token, with the header a request to this provider carries."""
    api = api_of(provider, record.account.method)
    name = (api.name or "Authorization") if api.placement == "header" else "Authorization"
    carried = replace(api, placement="bearer") if api.placement == "query" else api
    pin = record.account.pin
    placed = place_token(
        carried,
        Request("GET", "https://localhost/", "api"),
        grant.access,
        token_type=grant.token_type,
        values=token_values(pin.inputs, pin.client_id, record.account.subject),
    )
    return Token(
        account=record.account.id,
        token=grant.access,
        token_type=grant.token_type,
        expires_at=grant.expires_at,
        scopes=grant.scopes,
        header_name=name,
        header_value=Secret(placed.headers[name]),
        no_header=_no_header(api, grant.access),
    )


def _no_header(api: Api, token: Secret) -> ErrorCode | None:
    if api.placement == "query" or api.second is not None:
        return "no_single_header"
    # S3 services take signed requests, with a preset that says nothing about that.
    return "key_signs_requests" if api.placement == "bearer" and key_pair(token) is not None else None


def header_of(token: Token) -> tuple[str, Secret]:
    """Name and value of the header that carries the token. Raises Usage `no_single_header` and
    `key_signs_requests` if none does.
    """
    facts: Facts = {"account": token.account}
    if token.no_header == "no_single_header":
        raise Usage(f"No single header carries the key of {token.account}", code=token.no_header, facts=facts)
    if token.no_header is not None:
        raise Usage(
            f"The key of {token.account} is an AWS key pair, which signs requests and is never sent",
            code=token.no_header,
            facts=facts,
        )
    return token.header_name, token.header_value or Secret(f"Bearer {token.token.reveal()}")
