"""The pages that the callback listener shows in the browser: complete HTTP responses, rendered from one file.

Everything in a page is plain and escaped, no script can run in it, and nothing of the provider's answer is
ever in it. Used only by the loopback listener. Reads no file after it was created. Immutable, so thread-safe.
"""

from __future__ import annotations

import base64
import hashlib
import html
from pathlib import Path

from keyfob.core.http import Outcome
from keyfob.core.text import plain
from keyfob.protocol.oauth.callback import Why

_PHRASES = {
    200: "OK",
    303: "See Other",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    431: "Request Header Fields Too Large",
    503: "Service Unavailable",
}

_NO_USE = ("Nothing to see here", "Keyfob is waiting for a sign-in here. This request is not part of it.")
_REFUSALS = {
    Why.STATE: (
        "This belongs to another sign-in",
        "Keyfob ignored it. Go back to Keyfob and finish on the page that it opened last.",
    ),
    Why.ISSUER: (
        "Another server answered",
        "This answer did not come from your provider, so Keyfob ignored it. Start again in Keyfob.",
    ),
    Why.NO_CODE: (
        "The answer is incomplete",
        "Keyfob ignored it. Go back to the provider's page and try again, or start again in Keyfob.",
    ),
    Why.SPENT: ("You already used this page", "Each sign-in page works once. Keyfob shows the result."),
    Why.NOT_EXPECTED: (
        "No sign-in is waiting here",
        "The sign-in ended or was cancelled. Start again in Keyfob when you are ready.",
    ),
}
CLOSED = Outcome(
    False,
    "Keyfob was closed before it finished",
    "The sign-in was not completed. Open Keyfob and start again.",
)


class CallbackPages:
    """Renders `outcome.html` of `folder`. Raises FileNotFoundError if the install is broken."""

    def __init__(self, folder: Path) -> None:
        page = (folder / "outcome.html").read_text(encoding="utf-8")
        style = page.partition("<style>")[2].partition("</style>")[0]
        digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
        self._page = page
        self._headers = (
            "Content-Type: text/html; charset=utf-8\r\n"
            f"Content-Security-Policy: default-src 'none'; style-src 'sha256-{digest}'; "
            "frame-ancestors 'none'; base-uri 'none'; form-action 'none'\r\n"
            "X-Content-Type-Options: nosniff\r\n"
            "X-Frame-Options: DENY\r\n"
            "Cross-Origin-Opener-Policy: same-origin\r\n"
            "Cross-Origin-Resource-Policy: same-origin\r\n"
        )

    def outcome(self, outcome: Outcome) -> bytes:
        """How the sign-in ended."""
        return self._response(200, "ok" if outcome.ok else "failed", outcome.title, outcome.text)

    def waiting(self) -> bytes:
        """Shown if the provider takes long; the browser asks again after two seconds."""
        return self._response(
            200,
            "waiting",
            "Almost there",
            "Keyfob is checking who signed in. This page updates automatically.",
            extra="Refresh: 2\r\n",
        )

    def refusal(self, status: int, why: Why, link: str | None = None) -> bytes:
        """A fixed page for a request that was not taken; `link` is our own path to the outcome's page."""
        title, text = _REFUSALS.get(why, _NO_USE)
        allow = "Allow: GET\r\n" if status == 405 else ""
        return self._response(status, "refused", title, text, link=link, extra=allow)

    def redirect(self, path: str) -> bytes:
        """303 to `path`, so that the address with the code does not stay in the history (RFC 9700 §4.3.1)."""
        return self._assemble(303, f"Location: {path}\r\n{self._headers}", b"")

    def _response(
        self, status: int, kind: str, title: str, text: str, *, link: str | None = None, extra: str = ""
    ) -> bytes:
        anchor = f'<a href="{html.escape(link)}">See the result</a>' if link else ""
        page = self._page
        # The link goes first and the texts last, so that no text is ever searched for a mark.
        head, _, tail = page.replace("{{kind}}", kind).replace("{{link}}", anchor).partition("{{title}}")
        middle, _, rest = tail.partition("{{title}}")
        between, _, end = rest.partition("{{text}}")
        shown = html.escape(plain(title, 120))
        body = f"{head}{shown}{middle}{shown}{between}{html.escape(plain(text, 400))}{end}"
        return self._assemble(status, extra + self._headers, body.encode())

    def _assemble(self, status: int, headers: str, body: bytes) -> bytes:
        head = (
            f"HTTP/1.1 {status} {_PHRASES[status]}\r\n"
            f"{headers}"
            "Cache-Control: no-store\r\n"
            "Referrer-Policy: no-referrer\r\n"
            f"Content-Length: {len(body)}\r\n"
            "Connection: close\r\n\r\n"
        )
        return head.encode("ascii") + body


__all__ = ["CLOSED", "CallbackPages"]
