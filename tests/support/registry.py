"""Debian's docker-registry with token authentication, and the token service that it names.

The service is the test's: it takes the user's account token as a password, asks the provider for the scope,
and signs what the token may do, as the registry specifies. The registry decides.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import signal
import subprocess
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from urllib.parse import parse_qs, urlsplit

import httpx
import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from support.running import free_port, until

CONFIG = """\
version: 0.1
log: {{level: error}}
storage: {{filesystem: {{rootdirectory: {root}}}}}
http: {{addr: "127.0.0.1:{port}"}}
auth:
  token: {{realm: "{realm}", service: box, issuer: tests, rootcertbundle: {certificate}}}
"""
MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"


class Registry:
    """Serves while in `with`. `allows(token)`: whether the bearer may pull."""

    def __init__(self, folder: Path, program: str, allows: Callable[[str], bool]) -> None:
        self.folder, self.allows = folder, allows
        self._program = program
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._certificate = _self_signed(self._key)
        self._service = ThreadingHTTPServer(("127.0.0.1", 0), _TokenService)
        self._service.registry = self  # type: ignore[attr-defined]
        self._thread = threading.Thread(target=self._service.serve_forever, kwargs={"poll_interval": 0.05})
        self.host = f"127.0.0.1:{free_port()}"
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Registry:
        self._thread.start()
        certificate = self.folder / "registry.pem"
        certificate.write_bytes(self._certificate.public_bytes(serialization.Encoding.PEM))
        config = self.folder / "registry.yml"
        config.write_text(
            CONFIG.format(
                root=self.folder / "registry",
                port=self.host.partition(":")[2],
                realm=f"http://127.0.0.1:{self._service.server_address[1]}/token",
                certificate=certificate,
            )
        )
        log = (self.folder / "registry.log").open("wb")
        with log:
            self._process = subprocess.Popen(
                [self._program, "serve", str(config)],
                stdout=log,
                stderr=log,
                env={"PATH": os.environ["PATH"]},
            )
        until(self._answers, "the registry", 30)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(20)
        self._service.shutdown()
        self._thread.join()
        self._service.server_close()

    def _answers(self) -> bool:
        try:
            return httpx.get(f"http://{self.host}/v2/", trust_env=False).status_code == 401
        except httpx.HTTPError:
            return False

    def signed(self, actions: list[str]) -> str:
        """A token of the registry's for the repository `box`."""
        now = datetime.now(UTC)
        claims = {
            "iss": "tests",
            "aud": "box",
            "sub": "somebody",
            "nbf": now - timedelta(minutes=1),
            "exp": now + timedelta(minutes=5),
            "access": [{"type": "repository", "name": "box", "actions": actions}] if actions else [],
        }
        chain = [base64.b64encode(self._certificate.public_bytes(serialization.Encoding.DER)).decode()]
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"x5c": chain})

    def push(self) -> None:
        """An image `box:1`, by the registry's own API."""
        header = {"Authorization": f"Bearer {self.signed(['pull', 'push'])}"}
        with httpx.Client(base_url=f"http://{self.host}", headers=header, trust_env=False) as http:
            blob = b"{}"
            digest = "sha256:" + hashlib.sha256(blob).hexdigest()
            began = http.post("/v2/box/blobs/uploads/").raise_for_status()
            upload = httpx.URL(began.headers["location"]).copy_add_param("digest", digest)
            http.put(upload, content=blob).raise_for_status()
            manifest = {
                "schemaVersion": 2,
                "mediaType": MANIFEST,
                "config": {
                    "mediaType": "application/vnd.docker.container.image.v1+json",
                    "size": len(blob),
                    "digest": digest,
                },
                "layers": [],
            }
            body = json.dumps(manifest).encode()
            http.put(
                "/v2/box/manifests/1", content=body, headers={"Content-Type": MANIFEST}
            ).raise_for_status()


class _TokenService(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        registry: Registry = self.server.registry  # type: ignore[attr-defined]
        scheme, _, value = self.headers.get("Authorization", "").partition(" ")
        token = base64.b64decode(value).decode().partition(":")[2] if scheme.lower() == "basic" else ""
        wanted = parse_qs(urlsplit(self.path).query).get("scope", [""])[0]
        kind, _, actions = wanted.rpartition(":")  # Docker 20.10 asks for push too, and takes less
        asks = kind == "repository:box" and "pull" in actions.split(",")
        may = asks and bool(token) and registry.allows(token)
        body = json.dumps({"token": registry.signed(["pull"] if may else [])}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _self_signed(key: rsa.RSAPrivateKey) -> x509.Certificate:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=30))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
