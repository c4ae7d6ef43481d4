"""What comes before an account's token in a header line. The store keeps it next to the account's row, so
that `keyfob token` can hand out a token without the engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from keyfob.core.account import Connected, Record, Stale
from keyfob.core.errors import KeyfobError
from keyfob.core.grant import Grant
from keyfob.core.provider import Provider
from keyfob.core.secret import Secret
from keyfob.protocol.token_placement import api_of
from keyfob.service.accounts.tool_tokens import shareable, token_of

TOKEN_TYPES = ("Bearer", "DPoP")
_TOKEN = "TOKEN"  # noqa: S105  (stands for one)
_SOME_TIME = datetime(2000, 1, 1, tzinfo=UTC)


def header_lines(record: Record, provider: Provider) -> Mapping[str, str] | None:
    """For each token type, the header line up to the token. A type is left out if the token does not end the
    line, and both if one header does not carry the whole key. None when other programs may not have this
    account's token, or when the account has none that works.
    """
    if not isinstance(record.status, Connected | Stale) or not shareable(provider, record):
        return None
    lines: dict[str, str] = {}
    api = api_of(provider, record.account.method)
    if api.second is not None or api.placement == "query":
        return lines
    for token_type in TOKEN_TYPES:
        grant = Grant(Secret(_TOKEN), _SOME_TIME, token_type=token_type)
        try:
            token = token_of(record, provider, grant)
        except KeyfobError:
            continue
        line = f"{token.header_name}: {token.header_value.reveal() if token.header_value else ''}"
        if line.endswith(_TOKEN):
            lines[token_type] = line.removesuffix(_TOKEN)
    return lines
