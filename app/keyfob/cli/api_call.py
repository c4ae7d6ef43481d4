"""One API call of `keyfob request` with its repeats, on the account's own hosts.

After a 401, the token is replaced once and the request repeated. After a DPoP nonce challenge, the request is
repeated once. A redirect is followed only to hosts that may get the token, and so is a link to a next page.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from keyfob.cli.session import Session
from keyfob.client import running_agent
from keyfob.client.connection import AgentGoneError
from keyfob.core.errors import PeerFault, SettingWrong, Usage
from keyfob.core.http import Request, Streamed
from keyfob.core.repeats import Repeats
from keyfob.core.secret import Secret
from keyfob.service.accounts.signer import SignedRequest, SignRequest

HOPS_MOST = 5
REDIRECTS = (301, 302, 303, 307, 308)
BODY_MOST = 256 * 1024 * 1024  # bytes that are held in memory


@dataclass(frozen=True, slots=True)
class Answer:
    """The last answer to a call, and the address that gave it."""

    url: str = field(repr=False)
    answer: Streamed

    @property
    def ok(self) -> bool:
        """Whether the status says that the call succeeded."""
        return 200 <= self.answer.status < 300

    def whole(self, most: int = BODY_MOST) -> bytes:
        """The whole body. Raises Usage if it has more than `most` bytes."""
        body = bytearray()
        for piece in self.answer.body:
            body += piece
            if len(body) > most:
                raise Usage(
                    "The response is too long", remedy="Request less, or leave out --jq and --paginate."
                )
        return bytes(body)


class ApiCall:
    """Calls of one account with the same headers. Blocking."""

    def __init__(self, session: Session, ref: str, headers: list[tuple[str, str]]) -> None:
        self._session = session
        self._ref = session.engine.accounts.resolve(ref).account.key
        self._headers = headers

    def address(self, target: str) -> str:
        """The whole address of a path or URL. Raises SettingWrong `host_not_allowed`, and Usage for a header
        that a caller may not set.
        """
        return self._session.engine.signer.check(self._ref, target, self._headers)

    def next_address(self, url: str, link: str) -> str:
        """Where a link in the answer of `url` leads. Raises SettingWrong `host_not_allowed`."""
        return self._session.engine.signer.follow(self._ref, url, link)

    @contextmanager
    def answer(self, method: str, url: str, body: bytes | None) -> Iterator[Answer]:
        """The answer that stands after all repeats and redirects. Raises a KeyfobError."""
        engine = self._session.engine
        nonce: str | None = None
        rejected: Secret | None = None
        repeats, hops, given = Repeats(), 0, self._headers
        plain_host = engine.signer.plain_host(self._ref)
        while True:
            signed = self._signed(SignRequest(method, url, nonce, rejected))
            headers, more = merged(signed.headers, given)
            request = Request(method, signed.url, "api", headers, body, more, plain_host)
            with engine.transport.stream(request) as answer:
                nonce = answer.headers.get("dpop-nonce") or nonce
                location = answer.headers.get("location")
                reason = repeats.reason(answer.status, answer.headers)
                if reason == "token":
                    rejected = signed.token
                elif reason is None and answer.status in REDIRECTS and location:
                    hops += 1
                    if hops > HOPS_MOST:
                        raise PeerFault(
                            "The API redirected the request too many times", code="response_invalid"
                        )
                    url = self.next_address(url, location)
                    if answer.status == 303 or (answer.status in (301, 302) and method == "POST"):
                        method, body = ("HEAD" if method == "HEAD" else "GET"), None
                        given = [each for each in given if each[0].lower() != "content-type"]
                elif reason is None:
                    yield Answer(url, answer)
                    return

    def _signed(self, wanted: SignRequest) -> SignedRequest:
        """From the agent, which may hold what this process cannot open, else by this process under the same
        locks. What may not leave Keyfob does not cross the socket either.
        """
        engine = self._session.engine
        try:
            rejected = wanted.rejected.reveal() if wanted.rejected else None
            signed = self._session.from_agent(
                lambda: running_agent.sign(self._ref, wanted.method, wanted.url, wanted.nonce, rejected)
            )
        except AgentGoneError:
            pass
        except SettingWrong as error:
            if error.code != "sharing_not_allowed":
                raise
        else:
            return SignedRequest(signed["account"], signed["url"], signed["headers"], Secret(signed["token"]))
        return self._session.finish(lambda: engine.signer.sign(self._ref, wanted, for_tool=False))


def merged(
    own: Mapping[str, str], given: list[tuple[str, str]]
) -> tuple[dict[str, str], tuple[tuple[str, str], ...]]:
    """Keyfob's headers with the caller's, which come first; then the caller's lines that repeat a name."""
    headers: dict[str, str] = {}
    more: list[tuple[str, str]] = []
    names: set[str] = set()
    for name, value in given:
        if name.lower() in names:
            more.append((name, value))
        else:
            names.add(name.lower())
            headers[name] = value
    kept = {name: value for name, value in own.items() if name.lower() not in names}
    return {**kept, **headers}, tuple(more)
