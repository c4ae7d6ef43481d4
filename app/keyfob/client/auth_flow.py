"""What an HTTP library needs to send requests as an account: the credentials of a request, and whether to
send it again. The classes for each library are in the modules beside this one.
"""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass, field

from keyfob.client.tokens import check_account, credentials
from keyfob.core.repeats import Repeats

# The API's defaults give way to the caller's.
_CALLERS_OWN = frozenset({"accept", "content-type", "user-agent"})


@dataclass(frozen=True, slots=True)
class Credentials:
    """What goes into a request. `url` differs from the request's if the token goes into the query. The
    request owns what it gets: nobody logs or stores it.
    """

    headers: Mapping[str, str] = field(repr=False)
    url: str = field(repr=False)

    def put_into(self, headers: MutableMapping[str, str]) -> None:
        """Set the headers. `headers` finds names in any case."""
        for name, value in self.headers.items():
            if name.lower() not in _CALLERS_OWN or name not in headers:
                headers[name] = value


class AuthFlow:
    """One request and its repeats, whatever sends it: at most one repeat with a new token after a 401, and at
    most one with the nonce that the server asks for (RFC 9449 §9). For one thread at a time.
    """

    def __init__(self, account: str, method: str, url: str) -> None:
        self.account = check_account(account)
        self.method = method
        self.url = url
        self._repeats = Repeats()
        self._used: str | None = None
        self._nonce: str | None = None
        self._rejected: str | None = None

    def credentials(self) -> Credentials:
        """The credentials to send now. Blocks. Raises `keyfob.KeyfobError`, `host_not_allowed` if the address
        is not the provider's.
        """
        answer = credentials(self.account, self.method, self.url, self._nonce, self._rejected)
        self._used = str(answer["token"])
        return Credentials(answer["headers"], str(answer["url"]))

    def repeats(self, status: int, headers: Mapping[str, str]) -> bool:
        """Whether to send the request again with new `credentials`. Otherwise the answer stands. `headers`
        finds lower-case names.
        """
        reason = self._repeats.reason(status, headers)
        if reason is None:
            return False
        self._nonce = headers.get("dpop-nonce")
        self._rejected = self._used if reason == "token" else None
        return True
