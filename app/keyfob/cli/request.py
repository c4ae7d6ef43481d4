"""`keyfob request`: an API call with an account's token, only to the provider's own hosts.

The response's body streams to stdout. After a 401, the token is replaced once and the request repeated. After
a DPoP nonce challenge, the request is repeated once. A redirect is followed only to hosts that may get the
token.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO

import click

from keyfob.cli.options import account_argument, pass_session
from keyfob.cli.session import Session
from keyfob.client import running_agent
from keyfob.client.connection import AgentGoneError
from keyfob.core.errors import PeerFault, SettingWrong, Usage
from keyfob.core.http import Request, Streamed
from keyfob.core.repeats import Repeats
from keyfob.core.secret import Secret
from keyfob.core.text import plain
from keyfob.service.accounts.signer import SignedRequest, SignRequest

HOPS_MOST = 5
REDIRECTS = (301, 302, 303, 307, 308)
BODY_MOST = 256 * 1024 * 1024  # bytes: held in memory, since a 401 asks for it twice


@click.command(short_help="Make an API call with an account's token.")
@account_argument
@click.argument("method")
@click.argument("address", metavar="PATH-OR-URL")
@click.option("-H", "--header", "lines", multiple=True, metavar="K:V", help="Send this header. Repeatable.")
@click.option(
    "-d", "--data", metavar="@FILE|DATA", help="Send this body, or the content of FILE. @- reads stdin. "
                                               "The content type is JSON unless you set it with -H."
)  # fmt: skip
@click.option("-i", "--include", is_flag=True, help="Print the response's status and headers first.")
@pass_session
def request(
    session: Session,
    account: str,
    method: str,
    address: str,
    lines: tuple[str, ...],
    data: str | None,
    include: bool,
) -> int:
    """Call the API of ACCOUNT's provider with the account's token, and print the response.

    PATH-OR-URL is a path of the API such as /user, or a full address at one of the provider's API hosts.
    Keyfob refuses any other host (exit 8), so that no token goes to the wrong server. This also works for
    accounts whose terms do not allow other tools to use the token. If the API returns an error, Keyfob prints
    the response and exits with 1.

    \b
    Examples:
      keyfob request github GET /user | jq -r .login
      keyfob request gitlab POST /api/v4/projects -d '{"name": "demo"}'
      keyfob request openai POST /v1/files -H "Content-Type: application/json" -d @body.json
    """
    if not (method.isascii() and method.isalpha()):
        raise Usage(f"{method!r} is not an HTTP method")
    headers = headers_of(lines)
    body = body_of(data)
    if body is not None and not any(name.lower() == "content-type" for name in headers):
        headers["Content-Type"] = "application/json"
    return Call(session, account, headers, include).make(method.upper(), address, body)


class Call:
    """One call with its repeats."""

    def __init__(self, session: Session, ref: str, headers: dict[str, str], include: bool) -> None:
        self._session = session
        self._ref = session.engine.accounts.resolve(ref).account.key
        self._headers = headers
        self._include = include

    def make(self, method: str, target: str, body: bytes | None) -> int:
        """The exit code. Raises a KeyfobError."""
        engine = self._session.engine
        nonce: str | None = None
        rejected: Secret | None = None
        repeats, hops = Repeats(), 0
        url = engine.signer.check(self._ref, target, self._headers)
        while True:
            signed = self._signed(SignRequest(method, url, nonce, rejected))
            headers = {**signed.headers, **self._headers}
            with engine.transport.stream(Request(method, signed.url, "api", headers, body)) as answer:
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
                    url = engine.signer.follow(self._ref, url, location)
                    if answer.status == 303 or (answer.status in (301, 302) and method == "POST"):
                        method, body = ("HEAD" if method == "HEAD" else "GET"), None
                        self._headers.pop("Content-Type", None)
                elif reason is None:
                    return self._print(answer)

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

    def _print(self, answer: Streamed) -> int:
        out: BinaryIO = sys.stdout.buffer
        if self._include:
            out.write(f"HTTP/1.1 {answer.status} {_phrase(answer.status)}\n".encode())
            for name, value in answer.headers.items():
                out.write(f"{name}: {plain(value, 4000)}\n".encode())
            out.write(b"\n")
        for piece in answer.body:
            out.write(piece)
            out.flush()
        out.flush()
        if 200 <= answer.status < 300:
            return 0
        self._session.note(f"keyfob: The API answered {answer.status} {_phrase(answer.status)}".rstrip())
        return 1


def headers_of(lines: tuple[str, ...]) -> dict[str, str]:
    """`K:V` lines as a mapping. Raises Usage."""
    headers: dict[str, str] = {}
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise Usage(f"{plain(line, 60)!r} is not a header", remedy="Write it as Name: value.")
        headers[name.strip()] = value.strip()
    return headers


def body_of(data: str | None) -> bytes | None:
    """The bytes that `-d` names. Raises Usage."""
    if data is None:
        return None
    if not data.startswith("@"):
        return data.encode()
    try:
        body = sys.stdin.buffer.read(BODY_MOST + 1) if data == "@-" else Path(data[1:]).read_bytes()
    except OSError as error:
        raise Usage(f"{data[1:]} cannot be read: {error.strerror}") from error
    if len(body) > BODY_MOST:
        raise Usage("The body is too long", remedy="Upload it with another program and `keyfob exec`.")
    return body


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def sign_document(session: Session, account: str, text: str) -> Mapping[str, object]:
    """What `keyfob sign` answers to a JSON request."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise Usage("`keyfob sign` reads one JSON object on stdin")
    wanted = SignRequest.of(body)
    signed = session.finish(lambda: session.engine.signer.sign(account, wanted, for_tool=True))
    return signed.to_json()
