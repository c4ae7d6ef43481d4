"""The API's address, for providers that name it in their token answer (Salesforce's `instance_url`).

Called when a sign-in has its tokens, before anything is sent to the API. The account keeps the address: no
later answer changes where its token goes. Pure.
"""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlsplit

from keyfob.core.errors import PeerFault
from keyfob.core.hosts import is_listed
from keyfob.core.text import plain
from keyfob.protocol.context import FlowContext
from keyfob.protocol.http.json_path import read_path
from keyfob.protocol.http.urls import fault_of
from keyfob.protocol.oauth.token_answer import Answer


def at_answered_address(ctx: FlowContext, answer: Answer) -> FlowContext:
    """The context with the API at the address in the answer; unchanged if the preset has no such field, or if
    the answer lacks it and the preset has an address of its own. Raises PeerFault `response_invalid` for an
    address that is not https at one of the hosts that the preset lists for it.
    """
    provider = ctx.provider
    wanted = provider.api.from_answer
    if wanted is None:
        return ctx
    url = read_path(answer.data, wanted.field)
    if url is None and provider.api.base is not None:
        return ctx
    if not _fits(url, wanted.hosts):
        raise PeerFault(
            f"{provider.title} did not name an API address that its preset allows",
            code="response_invalid",
            detail=plain(url, 200) if isinstance(url, str) else "",
        )
    api = replace(provider.api, base=f"{str(url).rstrip('/')}{wanted.path}")
    return replace(ctx, provider=replace(provider, api=api))


def _fits(url: object, hosts: tuple[str, ...]) -> bool:
    if not isinstance(url, str) or fault_of(url) is not None:
        return False
    parts = urlsplit(url)
    plain_address = parts.scheme == "https" and not parts.query and not parts.fragment
    return plain_address and is_listed(parts.netloc.removesuffix(":443"), hosts)
