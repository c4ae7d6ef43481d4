"""The pages that the callback listener shows in the browser: complete HTTP responses, rendered from one file.

Everything in a page is plain and escaped, and nothing of the provider's answer is ever in it. The policy lets
one script run, the page's own: it takes a refused answer out of the address bar and the history, and tries to
close the tab after a success. Used only by the loopback listener. Reads no file after it was created.
Immutable, so thread-safe.
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
    204: "No Content",
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
    """Renders `pages/outcome.html` of `resources`. Raises FileNotFoundError if the install is broken."""

    def __init__(self, resources: Path) -> None:
        page = (resources / "pages" / "outcome.html").read_text(encoding="utf-8")
        icon = (resources / "icons" / "app.svg").read_bytes().strip()
        self._page = page.replace("{{icon}}", base64.b64encode(icon).decode())
        self._headers = (
            "Content-Type: text/html; charset=utf-8\r\n"
            f"Content-Security-Policy: default-src 'none'; style-src '{_digest(page, 'style')}'; "
            f"script-src '{_digest(page, 'script')}'; img-src data:; "
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

    def refusal(self, status: int, why: Why) -> bytes:
        """A fixed page for a request that was not taken."""
        title, text = _REFUSALS.get(why, _NO_USE)
        allow = "Allow: GET\r\n" if status == 405 else ""
        return self._response(status, "refused", title, text, extra=allow)

    def redirect(self, path: str) -> bytes:
        """303 to `path`, so that the address with the code does not stay in the history (RFC 9700 §4.3.1)."""
        return self._assemble(303, f"Location: {path}\r\n{self._headers}", b"")

    def gave_way(self) -> bytes:
        """For another attempt that asks for the port (`handover`)."""
        return self._assemble(204, self._headers, b"")

    def _response(self, status: int, kind: str, title: str, text: str, *, extra: str = "") -> bytes:
        # The texts go last, so that no text is ever searched for a mark.
        head, _, tail = self._page.replace("{{kind}}", kind).partition("{{title}}")
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


def _digest(page: str, element: str) -> str:
    """The source expression that lets exactly this element of the page in (CSP Level 3 §2.3.1)."""
    text = page.partition(f"<{element}>")[2].partition(f"</{element}>")[0]
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


__all__ = ["CLOSED", "CallbackPages"]
