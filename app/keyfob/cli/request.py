"""`keyfob request`: an API call with an account's token, only to the provider's own hosts.

The response's body streams to stdout; with `--paginate` or `--jq` it is read whole first.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import BinaryIO

import click

from keyfob.cli.api_call import BODY_MOST, Answer, ApiCall
from keyfob.cli.api_pages import Program, Whole, all_pages, compiled, filtered, whole_answer
from keyfob.cli.options import account_argument, pass_session
from keyfob.cli.session import Session
from keyfob.core.errors import Usage
from keyfob.core.text import plain
from keyfob.service.accounts.signer import SignRequest

PAGES = 100
API_ERROR = 10  # the exit if the API returned an error


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
@click.option(
    "--paginate",
    is_flag=True,
    help="Also request the next pages that the response links to (Link: rel=next), and print all pages. JSON "
    "arrays become one array.",
)
@click.option(
    "--max-pages",
    type=click.IntRange(min=1),
    default=PAGES,
    show_default=True,
    metavar="N",
    help="With --paginate: stop after N pages.",
)
@click.option(
    "-q",
    "--jq",
    "expression",
    metavar="EXPR",
    help="Print only what this jq expression selects from the JSON response. Needs keyfob[jq].",
)
@pass_session
def request(
    session: Session,
    account: str,
    method: str,
    address: str,
    lines: tuple[str, ...],
    data: str | None,
    include: bool,
    paginate: bool,
    max_pages: int,
    expression: str | None,
) -> int:
    """Call the API of ACCOUNT's provider with the account's token, and print the response.

    PATH-OR-URL is a path of the API such as /user, or a full address at one of the provider's API hosts.
    Keyfob refuses any other host (exit 8), so that no token goes to the wrong server. This also works for
    accounts whose terms do not allow other tools to use the token. If the API returns an error, Keyfob prints
    the response and exits with 10.

    \b
    Examples:
      keyfob request github GET /user --jq .login
      keyfob request github GET "/user/repos?per_page=100" --paginate --jq ".[].full_name"
      keyfob request gitlab POST /api/v4/projects -d '{"name": "demo"}'
      keyfob request openai POST /v1/files -H "Content-Type: application/json" -d @body.json
    """
    method = method.upper()
    if not (method.isascii() and method.isalpha()):
        raise Usage(f"{method!r} is not an HTTP method")
    if include and (paginate or expression is not None):
        raise Usage("--include cannot be combined with --paginate or --jq")
    if paginate and (method != "GET" or data is not None):
        raise Usage("--paginate works with GET and without a body only")
    program = compiled(expression) if expression is not None else None
    headers = headers_of(lines)
    body = body_of(data)
    if body is not None and not any(name.lower() == "content-type" for name, _ in headers):
        headers.append(("Content-Type", "application/json"))
    call = ApiCall(session, account, headers)
    url = call.address(address)
    if paginate:
        return _print_whole(session, all_pages(call, url, max_pages), program)
    if program is not None:
        return _print_whole(session, whole_answer(call, method, url, body), program)
    with call.answer(method, url, body) as found:
        return _streamed(session, found, include=include)


def _streamed(session: Session, found: Answer, *, include: bool = False) -> int:
    """Prints the response as it comes. Returns the exit code."""
    out: BinaryIO = sys.stdout.buffer
    answer = found.answer
    if include:
        out.write(f"HTTP/1.1 {answer.status} {_phrase(answer.status)}\n".encode())
        for name, value in answer.headers.items():
            out.write(f"{name}: {plain(value, 4000)}\n".encode())
        out.write(b"\n")
    for piece in answer.body:
        out.write(piece)
        out.flush()
    out.flush()
    return 0 if found.ok else _api_error(session, answer.status)


def _print_whole(session: Session, found: Whole, program: Program | None) -> int:
    """Prints the response, through `program` if there is one and the API returned no error."""
    out: BinaryIO = sys.stdout.buffer
    out.write(filtered(program, found.body) if program is not None and found.ok else found.body)
    out.flush()
    if found.more:
        session.note(f"There are more than {found.pages} pages. To read more, add --max-pages N.")
    return 0 if found.ok else _api_error(session, found.status)


def _api_error(session: Session, status: int) -> int:
    session.note(f"keyfob: The API answered {status} {_phrase(status)}".rstrip())
    return API_ERROR


def headers_of(lines: tuple[str, ...]) -> list[tuple[str, str]]:
    """The names and values of `K:V` lines. Raises Usage."""
    headers = []
    for line in lines:
        name, colon, value = line.partition(":")
        if not colon or not name.strip():
            raise Usage(f"{plain(line, 60)!r} is not a header", remedy="Write it as Name: value.")
        headers.append((name.strip(), value.strip()))
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
