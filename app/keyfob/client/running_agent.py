"""What the client asks of a running agent.

Each function blocks, and raises AgentGoneError if no agent answers, and
`keyfob.KeyfobError` with the agent's refusal.
"""

from __future__ import annotations

from keyfob.client.connection import (
    HEADER,
    JSON,
    AgentGoneError,
    AgentOlderError,
    account_path,
    agent_pid,
    exchange,
    is_agent_silent,
)
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
    if rejected is not None:
        return _document("POST", account_path("token", account), {"rejected": rejected})
    query = "" if min_life is None else f"?min_life={min_life:g}"
    return _document("GET", account_path("token", account, query))


def id_token(account: str) -> dict[str, Any]:
    """The account's ID token, in the form of `lease`."""
    return _document("GET", account_path("id-token", account))


def header(account: str) -> tuple[str, str]:
    """The name and value of the header that carries the token."""
    status, headers, raw = exchange("GET", account_path("token", account), HEADER)
    if status != 200:
        lease(account)  # the same refusal, with all that is known of it
        if not headers.get("keyfob-exit", "").isdecimal():
            raise AgentGoneError("the agent refused the request without a reason")
        message, _, remedy = raw.decode().partition(". ")  # there is a token, and no header for it
        raise error_of(
            {
                "exit": headers["keyfob-exit"],
                "code": headers.get("keyfob-code"),
                "message": message,
                "remedy": remedy or None,
            }
        )
    name, _, value = raw.decode().strip().partition(": ")
    return name, value


def sign(
    account: str, method: str, url: str, nonce: str | None = None, rejected: str | None = None
) -> dict[str, Any]:
    """The credentials for one request of this account; see `tokens.signed`."""
    return _document("POST", account_path("sign", account), request_to_sign(method, url, nonce, rejected))


def consent(account: str) -> None:
    """Returns when the program that asks may use the account, as for its token. Raises the refusal."""
    _document("POST", account_path("consent", account), {})


def renew(account: str) -> dict[str, Any]:
    """Renew the account now; the account, as `keyfob status --json` shows it."""
    return _document("POST", account_path("renew", account))


def agent_status() -> dict[str, Any]:
    """What the agent says of itself; see docs/agent.md. Less from an older one."""
    return _document("GET", "/v1/agent")


def standing() -> dict[str, Any] | None:
    """As `agent_status`, None if no agent runs; empty for one that does not say, because it is older or on
    another machine. Raises Transient `agent_silent` for one that does not answer.
    """
    from keyfob.core.errors import KeyfobError, Transient

    try:
        return agent_status()
    except AgentOlderError:
        return {}
    except AgentGoneError:
        if not is_agent_silent():
            return None
    except KeyfobError:
        return {}
    pid = agent_pid()
    named = f" (process {pid})" if pid else ""
    raise Transient(
        f"The agent{named} does not answer", code="agent_silent", facts={"pid": pid} if pid else {}
    )


def restart_agent() -> dict[str, Any] | None:
    """Have an agent without a window become the version that is installed now. What it said of itself before;
    None if there is no such agent. Raises Transient `agent_silent`, and Usage if it needs its passphrase
    again.
    """
    found = standing()
    if not found or found.get("window"):
        return None
    try:
        tell_agent("restart")
    except AgentGoneError:
        return None
    return found


def tell_agent(what: str, passphrase: str | None = None) -> dict[str, Any]:
    """Have the agent `stop`, `restart`, `lock` or `unlock`; what it says of itself then."""
    return _document("POST", f"/v1/agent/{what}", {} if passphrase is None else {"passphrase": passphrase})


def test(account: str) -> dict[str, Any]:
    """As `keyfob test --json` answers."""
    return _document("POST", account_path("test", account))


test.__test__ = False  # type: ignore[attr-defined]  # not a pytest function


def rename(account: str, label: str) -> dict[str, Any]:
    """The account, with its new label."""
    return _document("POST", account_path("rename", account), {"label": label})


def end_account(what: str, account: str, *, local: bool) -> dict[str, Any]:
    """`disconnect` or `remove` the account, as those commands answer with `--json`."""
    return _document("POST", account_path(what, account), {"local": local})


def keys() -> dict[str, Any]:
    """As `keyfob jwk list --json` answers."""
    return _document("GET", "/v1/keys")


def generate_key(alg: str, provider: str | None) -> dict[str, Any]:
    """A new key, as `keyfob jwk generate --json` answers."""
    return _document("POST", "/v1/keys", {"alg": alg, "provider": provider})


def remove_key(kid: str, *, force: bool) -> dict[str, Any]:
    """The key that is gone."""
    return _document("DELETE", account_path("keys", kid, "?force=1" if force else ""))


def keep_client(provider: str, inputs: dict[str, str], client_id: str, secret: str | None) -> dict[str, Any]:
    """Keep the user's app registration at a provider."""
    body = {"inputs": inputs, "client_id": client_id, "client_secret": secret}
    return _document("POST", account_path("clients", provider), body)


def begin_sign_in(request: dict[str, Any]) -> dict[str, Any]:
    """Begin a sign-in; how it stands."""
    return _document("POST", "/v1/sign-ins", request)


def sign_in(one: str) -> dict[str, Any]:
    """How a sign-in stands."""
    return _document("GET", f"/v1/sign-ins/{one}")


def cancel_sign_in(one: str) -> dict[str, Any]:
    """Cancel a sign-in, unless its account is being saved; how it stands then."""
    return _document("DELETE", f"/v1/sign-ins/{one}")


def paste(one: str, text: str) -> dict[str, Any]:
    """Hand in the address of the browser's last page; how the sign-in stands then."""
    return _document("POST", f"/v1/sign-ins/{one}/callback", {"url": text})


def request_to_sign(method: str, url: str, nonce: str | None, rejected: str | None) -> dict[str, str | None]:
    """The body of a request for a signature, for the agent and for `keyfob sign`."""
    return {"method": method, "url": url, "nonce": nonce, "rejected": rejected}


def _document(method: str, target: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    import json

    data = b"" if body is None else json.dumps(body).encode()
    status, _, raw = exchange(method, target, JSON, data)
    answer: dict[str, Any] = json.loads(raw)
    if status in (200, 201):
        return answer
    error = error_of(answer)
    if status == 404 and answer.get("code") == "usage":
        raise AgentOlderError("the agent is older and does not know this request") from error
    raise error
