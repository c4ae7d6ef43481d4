"""A server for tools on a free loopback port, where each thing wants a token: git over HTTP, a Python index,
an npm registry, a container registry, an API. And a home beside it, with the `keyfob` commands on the PATH.

A token is right if the demo provider's userinfo takes it, or if it is in `keys`. `seen` holds what each
request brought: (path, user, token).
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx

from keyfob.demo.server import DemoServer
from support.certificates import Authority
from support.running import Processes, Ran, scripted_browser

ROOT = Path(__file__).resolve().parent.parent.parent
SCRIPTS = {
    "keyfob": "keyfob.__main__",
    "git-credential-keyfob": "keyfob.cli.git_credential",
    "docker-credential-keyfob": "keyfob.cli.docker_credential",
    "keyfob-keyring": "keyfob.cli.keyring_command",
}
PRESET = """\
id = "{name}"
title = "Workshop"
methods = ["oauth", "api_key"]
issuer = "{issuer}"
discovery = "openid"
scopes = ["openid", "profile", "email", "offline_access"]
[policy]
share = {share}
share_reason = "The Workshop does not let other tools use its tokens"
[client]
client_id = "keyfob-demo"
[redirect]
port = "any"
[api]
base = "{base}"
hosts = {hosts}
[identity]
source = "userinfo"
[identity.map]
subject = "sub"
name = "name"
username = "preferred_username"
[revocation]
style = "rfc7009"
[api_key]
[api_key.api]
base = "{base}"
[api_key.identity]
source = "request"
url = "{base}/api/user"
[api_key.identity.map]
subject = "login"
username = "login"
"""


class Workshop:
    """Serves while in `with`."""

    def __init__(self, folder: Path, issuer: str, *, tls: bool = False) -> None:
        self.folder = folder
        self.authority = Authority(folder) if tls else None
        self.issuer = issuer
        self.keys: set[str] = set()
        self.refused: set[str] = set()
        self.seen: list[tuple[str, str, str]] = []
        self.git_needs: str | None = None  # a claim that the token's user information must have, for git
        self.user_statuses: list[int] = []  # the next answers of /api/user, if they are not the usual ones
        self.on_user: Callable[[], object] = lambda: None  # called before /api/user answers
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self._server.workshop = self  # type: ignore[attr-defined]
        if self.authority is not None:
            context = self.authority.server("127.0.0.1", "localhost")
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05})

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._server.server_address[1]}"

    @property
    def base(self) -> str:
        return f"{'http' if self.authority is None else 'https'}://{self.host}"

    def __enter__(self) -> Workshop:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def tokens_seen(self, path: str) -> list[str]:
        return [token for at, _, token in self.seen if at.startswith(path) and token]

    def takes(self, token: str) -> bool:
        if not token or token in self.refused:
            return False
        return token in self.keys or self.user(token) is not None

    def may_git(self, token: str) -> bool:
        """Whether this token, which is right, has the scope that repositories want here."""
        return self.git_needs is None or self.git_needs in (self.user(token) or {})

    def user(self, token: str) -> dict[str, Any] | None:
        """The user information of a token that lives."""
        answer = httpx.get(
            f"{self.issuer}/userinfo", headers={"Authorization": f"Bearer {token}"}, trust_env=False
        )
        return answer.json() if answer.status_code == 200 else None

    def repository(self, name: str = "box.git") -> Path:
        """A bare repository with one commit, served under /git/."""
        bare, work = self.folder / "git" / name, self.folder / "work"
        env = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_AUTHOR_NAME": "A",
            "GIT_AUTHOR_EMAIL": "a@example.org",
            "GIT_COMMITTER_NAME": "A",
            "GIT_COMMITTER_EMAIL": "a@example.org",
        }
        bare.parent.mkdir(exist_ok=True)
        run = lambda *words: subprocess.run(words, check=True, env=env, capture_output=True, timeout=30)  # noqa: E731
        run("git", "init", "-q", "--bare", "-b", "main", str(bare))
        run("git", "init", "-q", "-b", "main", str(work))
        (work / "README").write_text("found\n")
        run("git", "-C", str(work), "add", ".")
        run("git", "-C", str(work), "commit", "-qm", "one")
        run("git", "-C", str(work), "push", "-q", str(bare), "main")
        return bare


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else a body waits 40 ms for its head to be acknowledged

    def log_message(self, format: str, *args: Any) -> None:
        pass

    @property
    def shop(self) -> Workshop:
        return self.server.workshop  # type: ignore[attr-defined,no-any-return]

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        path = urlsplit(self.path).path
        user, token = self._credentials()
        if path.startswith("/crates/"):
            token = token or self.headers.get("Authorization", "")  # Cargo sends it as it is
        self.shop.seen.append((path, user, token))
        if path == "/.well-known/terraform.json":
            self._say(200, b'{"modules.v1": "/tf/"}', {"Content-Type": "application/json"})
        elif path == "/api/user" and self.shop.user_statuses:
            status = self.shop.user_statuses.pop(0)
            self._say(status, b"not now", {"WWW-Authenticate": "Bearer"} if status == 401 else {})
        elif not self.shop.takes(token):
            kind = "Bearer" if path.startswith(("/npm", "/api", "/go", "/tf")) else "Basic"
            self._say(401, b"token, please", {"WWW-Authenticate": f'{kind} realm="workshop"'})
        elif path.startswith("/git/") and not self.shop.may_git(token):
            self._say(403, b"this token may not read the repository")
        elif path.startswith("/git/"):
            self._git(body)
        elif path == "/api/user":
            self.shop.on_user()
            self._say(200, json.dumps({"login": "robot"}).encode(), {"Content-Type": "application/json"})
        else:
            parts: dict[str, Callable[[str], None]] = {
                "/simple/": self._index,
                "/npm/": self._npm,
                "/v2/": self._registry,
                "/go/": self._go,
                "/crates/": self._crates,
                "/tf/": self._terraform,
                "/version": self._kubernetes,
                "/api": self._kubernetes,
            }
            answer = next((found for start, found in parts.items() if path.startswith(start)), None)
            self._say(404, b"nothing here") if answer is None else answer(path)

    do_POST = do_HEAD = do_GET

    def _credentials(self) -> tuple[str, str]:
        scheme, _, value = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "basic":
            user, _, token = base64.b64decode(value).decode().partition(":")
            return user, token
        return "", value

    def _say(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if urlsplit(self.path).path.startswith("/v2/"):  # Docker 20.10 wants it in every answer, in a 401 too
            self.send_header("Docker-Distribution-Api-Version", "registry/2.0")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def _git(self, body: bytes) -> None:
        """git's own http-backend, as a web server runs it (CGI)."""
        parts = urlsplit(self.path)
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        env = {
            "PATH": os.environ["PATH"],
            "GIT_PROJECT_ROOT": str(self.shop.folder / "git"),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": parts.path.removeprefix("/git"),
            "QUERY_STRING": parts.query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "REMOTE_USER": "somebody",
            "REMOTE_ADDR": "127.0.0.1",
            "GIT_CONFIG_COUNT": "1",
            "GIT_CONFIG_KEY_0": "safe.directory",
            "GIT_CONFIG_VALUE_0": "*",
        }
        done = subprocess.run(
            ["git", "http-backend"], input=body, env=env, capture_output=True, timeout=30, check=False
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if ": " in line)
        status = int(headers.pop("Status", "200").split()[0])
        self._say(status, content, headers)

    def _index(self, path: str) -> None:
        name = "keyfob_found-1.0-py3-none-any.whl"
        if path.endswith(".whl"):
            return self._say(200, _wheel())
        page = (
            "<!DOCTYPE html><a "
            f'href="/simple/keyfob-found/{name}#sha256={hashlib.sha256(_wheel()).hexdigest()}">{name}</a>'
        )
        return self._say(200, page.encode(), {"Content-Type": "text/html"})

    def _npm(self, path: str) -> None:
        if path.endswith(".tgz"):
            return self._say(200, _npm_package())
        digest = base64.b64encode(hashlib.sha512(_npm_package()).digest()).decode()
        found = {
            "name": "keyfob-found",
            "dist-tags": {"latest": "1.0.0"},
            "versions": {
                "1.0.0": {
                    "name": "keyfob-found",
                    "version": "1.0.0",
                    "dist": {
                        "tarball": f"{self.shop.base}/npm/keyfob-found/-/keyfob-found-1.0.0.tgz",
                        "integrity": f"sha512-{digest}",
                    },
                }
            },
        }
        return self._say(200, json.dumps(found).encode(), {"Content-Type": "application/json"})

    def _registry(self, path: str) -> None:
        if path == "/v2/":
            return self._say(200, b"{}", {"Content-Type": "application/json"})
        kind = "application/vnd.docker.distribution.manifest.v2+json"
        config = {
            "mediaType": "application/vnd.docker.container.image.v1+json",
            "size": 2,
            "digest": _digest(b"{}"),
        }
        if "/blobs/" in path:
            return self._say(200, b"{}", {"Content-Type": "application/octet-stream"})
        manifest = json.dumps(
            {"schemaVersion": 2, "mediaType": kind, "config": config, "layers": []}
        ).encode()
        return self._say(200, manifest, {"Content-Type": kind, "Docker-Content-Digest": _digest(manifest)})

    def _go(self, path: str) -> None:
        """A module proxy with one module (https://go.dev/ref/mod#goproxy-protocol)."""
        module, version = "shop.example/found", "v1.0.0"
        mod = f"module {module}\n".encode()
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr(f"{module}@{version}/go.mod", mod)
            archive.writestr(f"{module}@{version}/found.go", "package found\n")
        files = {
            "list": f"{version}\n".encode(),
            f"{version}.info": json.dumps({"Version": version}).encode(),
            f"{version}.mod": mod,
            f"{version}.zip": packed.getvalue(),
        }
        head, _, name = path.partition(f"/{module}/@v/")
        found = files.get(name) if head == "/go" else None
        self._say(200, found) if found is not None else self._say(404, b"nothing here")

    def _terraform(self, path: str) -> None:
        """A registry with one module (https://developer.hashicorp.com/terraform/internals/module-registry-protocol)."""
        if path.endswith("/versions"):
            body = {"modules": [{"versions": [{"version": "1.0.0"}]}]}
            return self._say(200, json.dumps(body).encode(), {"Content-Type": "application/json"})
        if path.endswith("/download"):
            module = self.shop.folder / "module"
            module.mkdir(exist_ok=True)
            (module / "main.tf").write_text('output "word" {\n  value = "found"\n}\n')
            return self._say(204, b"", {"X-Terraform-Get": module.as_uri()})
        return self._say(404, b"nothing here")

    def _crates(self, path: str) -> None:
        """The index of a sparse registry, which wants a token for everything."""
        config = {
            "dl": f"{self.shop.base}/crates/dl",
            "api": f"{self.shop.base}/crates",
            "auth-required": True,
        }
        if path == "/crates/index/config.json":
            return self._say(200, json.dumps(config).encode())
        if path == "/crates/api/v1/crates":
            return self._say(200, b'{"crates": [], "meta": {"total": 0}}')
        return self._say(404, b"nothing here")

    def _kubernetes(self, path: str) -> None:
        body: dict[str, Any] = {"kind": "Status", "status": "Success"}
        match path:
            case "/version":
                body = {"major": "1", "minor": "32", "gitVersion": "v1.32.0-workshop"}
            case "/api":
                body = {"kind": "APIVersions", "versions": ["v1"]}
            case "/apis":
                body = {"kind": "APIGroupList", "apiVersion": "v1", "groups": []}
        self._say(200, json.dumps(body).encode(), {"Content-Type": "application/json"})


def _digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def _wheel() -> bytes:
    out = io.BytesIO()
    meta = "keyfob_found-1.0.dist-info"
    files = {
        "keyfob_found.py": "WORD = 'found'\n",
        f"{meta}/METADATA": "Metadata-Version: 2.1\nName: keyfob-found\nVersion: 1.0\n",
        f"{meta}/WHEEL": "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    files[f"{meta}/RECORD"] = "".join(f"{name},,\n" for name in (*files, f"{meta}/RECORD"))
    with zipfile.ZipFile(out, "w") as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return out.getvalue()


def _npm_package() -> bytes:
    out = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=out, mode="wb", mtime=0) as packed,
        tarfile.open(fileobj=packed, mode="w") as archive,
    ):
        for name, text in (
            ("package.json", json.dumps({"name": "keyfob-found", "version": "1.0.0", "main": "index.js"})),
            ("index.js", "module.exports = 'found';\n"),
        ):
            info = tarfile.TarInfo(f"package/{name}")
            info.size = len(text)
            archive.addfile(info, io.BytesIO(text.encode()))
    return out.getvalue()


@dataclass
class Bench:
    """A home of one's own with the commands on the PATH, a provider and a workshop."""

    env: dict[str, str]
    home: Path  # HOME: where tools keep their settings
    keyfob_home: Path
    provider: DemoServer
    shop: Workshop
    processes: Processes = field(default_factory=Processes)

    @classmethod
    def at(cls, folder: Path, env: dict[str, str], provider: DemoServer, shop: Workshop) -> Bench:
        home, keyfob_home, bin_ = folder / "home", folder / "keyfob", folder / "bin"
        for each in (home, keyfob_home, bin_):
            each.mkdir(mode=0o700)
        for name, module in SCRIPTS.items():
            script = bin_ / name
            script.write_text(
                f"#!{sys.executable}\nimport sys\nsys.argv[0] = {name!r}\nfrom {module} import "
                "main\nsys.exit(main())\n"
            )
            script.chmod(0o755)
        mine = {
            **env,
            "HOME": str(home),
            "KEYFOB_HOME": str(keyfob_home),
            "PATH": f"{bin_}{os.pathsep}{env['PATH']}",
            "PYTHONPATH": str(ROOT / "app"),
            "PYTHONWARNINGS": "error",
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
            "XDG_CONFIG_HOME": str(home / ".config"),
            "NO_PROXY": "127.0.0.1,localhost",
            "no_proxy": "127.0.0.1,localhost",
        }
        return cls(mine, home, keyfob_home, provider, shop)

    @property
    def bin(self) -> Path:
        return Path(self.env["PATH"].split(os.pathsep)[0])

    def preset(self, name: str = "workshop", *, share: bool = True, hosts: tuple[str, ...] = ()) -> None:
        folder = self.keyfob_home / "config" / "providers"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        text = PRESET.format(
            name=name,
            issuer=self.provider.issuer,
            base=self.shop.base,
            share=str(share).lower(),
            hosts=list(hosts),
        )
        (folder / f"{name}.toml").write_text(text)

    def run(self, *words: str, stdin: str = "", cwd: Path | None = None, **env: str) -> Ran:
        return self.processes.run(words, self.env | env, stdin=stdin, cwd=cwd or self.home)

    def keyfob(self, *words: str, stdin: str = "", **env: str) -> Ran:
        return self.run("keyfob", *words, stdin=stdin, **env)

    def connect(self, name: str = "workshop", *, person: str = "alice", **preset: Any) -> None:
        """An account that renews, of the demo provider's person."""
        self.preset(name, **preset)
        self.sign_in("connect", name, "--method", "oauth", person=person)

    def sign_in(self, *words: str, person: str = "alice") -> None:
        """`keyfob connect` or `reconnect`, with a browser that allows everything."""
        done = self.keyfob(*words, **scripted_browser(self.home.parent, person))
        assert done.code == 0, done.err

    def connect_key(self, key: str, name: str = "workshop") -> None:
        self.preset(name)
        self.shop.keys.add(key)
        done = self.keyfob("connect", name, "--method", "api_key", "--api-key-stdin", stdin=key + "\n")
        assert done.code == 0, done.err

    def token(self, ref: str = "workshop") -> str:
        done = self.keyfob("token", ref)
        assert done.code == 0, done.err
        return done.out.strip()

    def files_with(self, secret: str) -> list[Path]:
        """The files under both homes that hold this text."""
        found = []
        for folder in (self.home, self.keyfob_home):
            for path in folder.rglob("*"):
                if path.is_file() and not path.is_symlink() and secret.encode() in path.read_bytes():
                    found.append(path)
        return found


@contextmanager
def bench_at(folder: Path, env: dict[str, str], *, tls: bool = False) -> Iterator[Bench]:
    """A bench in this folder, its demo provider and its workshop served; with `tls` the workshop is https."""
    with (
        DemoServer(folder / "provider", port=0, access_lifetime=3600) as provider,
        Workshop(folder, provider.issuer, tls=tls) as shop,
    ):
        made = Bench.at(folder, env, provider, shop)
        try:
            yield made
        finally:
            made.processes.end()


def program(name: str, package: str) -> str:
    """Where a program is that the tests' packages bring. An error that names the package, never a skip."""
    found = shutil.which(name)
    if found is None:
        raise RuntimeError(f"install {package}: {name} is needed")
    return found


def version_of(text: str) -> tuple[int, ...]:
    found = re.search(r"(\d+(?:\.\d+)+)", text)
    return tuple(int(part) for part in found[1].split(".")) if found else ()
