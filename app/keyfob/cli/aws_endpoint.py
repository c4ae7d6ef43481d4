"""A local endpoint with fresh AWS keys for a command that runs for long: `keyfob exec --aws`.

The protocol is that of containers at AWS: the SDKs read AWS_CONTAINER_CREDENTIALS_FULL_URI and send
AWS_CONTAINER_AUTHORIZATION_TOKEN as the Authorization header
(https://docs.aws.amazon.com/sdkref/latest/guide/feature-container-credentials.html). They ask again some
minutes before the keys expire. The endpoint listens on a free port of 127.0.0.1, as long as the command runs.
"""

from __future__ import annotations

import hmac
import json
import secrets
import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from keyfob.cli.remedies import sentence
from keyfob.core.errors import KeyfobError
from keyfob.core.times import to_rfc3339

URI = "AWS_CONTAINER_CREDENTIALS_FULL_URI"
KEY = "AWS_CONTAINER_AUTHORIZATION_TOKEN"
# The SDKs would use these before the endpoint.
OTHERS = (
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_SECURITY_TOKEN",
    "AWS_PROFILE",
    "AWS_DEFAULT_PROFILE",
    "AWS_ROLE_ARN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
)
PATH = "/credentials"
# The SDKs want to know when keys expire. Those of a key pair do not, and are asked for again after this time.
ASK_AGAIN = timedelta(hours=1)
SILENT_MOST = 30.0  # seconds that a connection may say nothing


class AwsEndpoint:
    """Serves while in `with`. `keys` gives the members of a `credential_process` answer, or raises a
    KeyfobError; it is called on threads of the server, by one at a time.
    """

    def __init__(self, keys: Callable[[], Mapping[str, str]], now: Callable[[], datetime]) -> None:
        self._keys = keys
        self._now = now
        self._one = threading.Lock()
        self._key = secrets.token_urlsafe(32)
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.1,), name="aws-endpoint")

    @property
    def variables(self) -> dict[str, str]:
        """What the command gets in its environment."""
        return {URI: f"http://127.0.0.1:{self._server.server_address[1]}{PATH}", KEY: self._key}

    def __enter__(self) -> AwsEndpoint:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def answer(self, path: str, authorization: str) -> tuple[int, dict[str, str]]:
        """Status and document for one GET request. Blocks."""
        if not hmac.compare_digest(authorization.encode(), self._key.encode()):
            return 403, {"code": "forbidden", "message": f"{KEY} is missing or wrong"}
        if path != PATH:
            return 404, {"code": "not_found", "message": f"{URI} names the only address"}
        try:
            with self._one:
                keys = dict(self._keys())
        except KeyfobError as error:
            # The SDKs ask again after an answer of 500 and above, which helps only with what may pass.
            return 503 if error.exit_code == 5 else 400, {"code": error.code, "message": sentence(error)}
        keys["Token"] = keys.pop("SessionToken", "")
        keys.setdefault("Expiration", to_rfc3339(self._now() + ASK_AGAIN) or "")
        return 200, keys

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        answer = self.answer

        class Handler(BaseHTTPRequestHandler):
            timeout = SILENT_MOST
            server_version, sys_version = "keyfob", ""

            def do_GET(self) -> None:
                status, document = answer(self.path, self.headers.get("Authorization", ""))
                body = json.dumps(document).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Cache-Control", "no-store")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """The command has the terminal."""

        return Handler
