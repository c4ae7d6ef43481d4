"""An issuer of JWTs on a loopback port: its metadata, its keys, and tokens of any claims."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa


class Issuer:
    """Serves while in `with`. `broken` answers 500 to everything; `seen` holds the paths that came."""

    def __init__(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.issuer = self  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self.says_issuer = self.url
        self.seen: list[str] = []
        self.broken = False
        self.number = 0
        self.rotate()

    def rotate(self) -> None:
        """A new signing key; the old one is gone."""
        self.number += 1
        self.kid = f"key-{self.number}"
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def claims(self, **changes: object) -> dict[str, Any]:
        """Those of an access token (RFC 9068), with these changes; None leaves a claim out."""
        now = int(time.time())
        usual = {
            "iss": self.url,
            "sub": "alice",
            "aud": "keyfob",
            "client_id": "program",
            "iat": now,
            "exp": now + 300,
            "jti": "token-1",
        }
        return {name: value for name, value in {**usual, **changes}.items() if value is not None}

    def token(self, *, typ: str = "at+jwt", kid: str | None = None, **changes: object) -> str:
        """A signed token."""
        header = {"typ": typ, "kid": kid or self.kid}
        # PyJWT insists on texts in some claims; a hostile issuer does not.
        body = json.dumps(self.claims(**changes)).encode()
        return jwt.PyJWS().encode(body, self.key, algorithm="RS256", headers=header)

    def __enter__(self) -> Issuer:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class _Handler(BaseHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        issuer: Issuer = self.server.issuer  # type: ignore[attr-defined]
        issuer.seen.append(self.path)
        answers: dict[str, dict[str, Any]] = {
            "/.well-known/openid-configuration": {
                "issuer": issuer.says_issuer,
                "jwks_uri": f"{issuer.url}/keys",
            },
            "/keys": {
                "keys": [
                    json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(issuer.key.public_key()))
                    | {"kid": issuer.kid}
                ]
            },
        }
        found = None if issuer.broken else answers.get(self.path)
        body = json.dumps(found or {}).encode()
        self.send_response(200 if found else 500)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
