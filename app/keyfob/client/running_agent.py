"""What the client asks of a running agent.

Each function blocks, and raises AgentGoneError if no agent answers, and
`keyfob.KeyfobError` with the agent's refusal.
"""

from __future__ import annotations

from keyfob.client.connection import HEADER, JSON, AgentGoneError, account_path, exchange
from keyfob.client.errors import error_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def accounts() -> list[dict[str, Any]]:
    """All accounts, as `keyfob accounts --json` shows them."""
    listed: list[dict[str, Any]] = _document("GET", "/v1/accounts")["accounts"]
    return listed


def account(ref: str) -> dict[str, Any]:
    """One account, as `keyfob status --json` shows it."""
    return _document("GET", account_path("accounts", ref))


def lease(account: str, *, min_life: float | None = None, rejected: str | None = None) -> dict[str, Any]:
    """The account's token and what is known of it, as `keyfob token --json` answers. `min_life` is in
    seconds. `rejected` is a token that the API refused, so that the agent replaces it.
    """
    import json

    if rejected is not None:
        body = json.dumps({"rejected": rejected}).encode()
        return _document("POST", account_path("token", account), body)
    query = "" if min_life is None else f"?min_life={min_life:g}"
    return _document("GET", account_path("token", account, query))


def header(account: str) -> tuple[str, str]:
    """The name and value of the header that carries the token."""
    status, _, raw = exchange("GET", account_path("token", account), HEADER)
    if status != 200:
        lease(account)  # the same refusal, with its code
        raise AgentGoneError("the agent refused the request without a reason")
    name, _, value = raw.decode().strip().partition(": ")
    return name, value


def sign(
    account: str, method: str, url: str, nonce: str | None = None, rejected: str | None = None
) -> dict[str, Any]:
    """The credentials for one request of this account; see `tokens.signed`."""
    import json

    body = json.dumps(request_to_sign(method, url, nonce, rejected)).encode()
    return _document("POST", account_path("sign", account), body)


def renew(account: str) -> dict[str, Any]:
    """Renew the account now; the account, as `keyfob status --json` shows it."""
    return _document("POST", account_path("renew", account))


def request_to_sign(method: str, url: str, nonce: str | None, rejected: str | None) -> dict[str, str | None]:
    """The body of a request for a signature, for the agent and for `keyfob sign`."""
    return {"method": method, "url": url, "nonce": nonce, "rejected": rejected}


def _document(method: str, target: str, body: bytes = b"") -> dict[str, Any]:
    import json

    status, _, raw = exchange(method, target, JSON, body)
    answer: dict[str, Any] = json.loads(raw)
    if status != 200:
        raise error_of(answer)
    return answer
