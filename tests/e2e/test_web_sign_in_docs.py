"""The examples of docs/web-sign-in.md work as they stand."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml
from starlette.testclient import TestClient

from keyfob.core.secret import Secret
from keyfob.gateway.web.hosted import settings_of
from support.oidc_provider import OidcProvider, Person

pytestmark = [pytest.mark.servers, pytest.mark.network, pytest.mark.timeout(300)]
ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/web-sign-in.md").read_text("utf-8")
PUBLIC = "https://app.example.org"
SECRET = "the secret of the client"
PROGRAMS = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
Answer = tuple[int, dict[str, str], str]
Ask = Callable[[str, str], Answer]


@pytest.fixture(scope="module")
def provider() -> Iterator[OidcProvider]:
    with OidcProvider() as server:
        server.add_client(
            client_id="my-app",
            client_secret=SECRET,
            application_type="web",
            redirect_uris=[f"{PUBLIC}/sign-in/callback"],
            grant_types=["authorization_code", "refresh_token"],
            token_endpoint_auth_method="client_secret_basic",
        )
        yield server


@pytest.fixture
def run(
    provider: OidcProvider, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[[str], ModuleType]:
    monkeypatch.setenv("KEYFOB_DATABASE_URL", f"sqlite:///{tmp_path / 'web.db'}")
    monkeypatch.setenv("KEYFOB_WEB_SECRET_KEYS", "k" * 43)
    monkeypatch.setenv("ISSUER", provider.issuer)
    monkeypatch.setenv("CLIENT_SECRET", SECRET)

    def program(named: str) -> ModuleType:
        (text,) = [each for each in PROGRAMS if named in each]
        made = ModuleType("example")
        monkeypatch.setitem(sys.modules, "example", made)
        exec(compile(text, "example", "exec"), made.__dict__)
        return made

    return program


def asgi(app: Any) -> Ask:
    client = TestClient(app, base_url=PUBLIC, follow_redirects=False)

    def ask(path: str, cookie: str) -> Answer:
        client.cookies.clear()
        answer = client.get(path, headers={"cookie": cookie})
        return answer.status_code, dict(answer.headers), answer.text

    return ask


def wsgi(app: Any) -> Ask:
    client = app.test_client(use_cookies=False)

    def ask(path: str, cookie: str) -> Answer:
        answer = client.get(path, base_url=PUBLIC, headers={"Cookie": cookie})
        return answer.status_code, {k.lower(): v for k, v in answer.headers.items()}, answer.text

    return ask


def sign_in(ask: Ask, path: str) -> Answer:
    """A person who visits `path` is sent to the provider and back; the page at the end."""
    status, headers, _ = ask(path, "")
    assert status == 303
    status, headers, _ = ask(headers["location"], "")
    assert status == 303
    browser = headers["set-cookie"].partition(";")[0]
    with Person("alice") as person:
        back = urlsplit(person.visit(headers["location"], until=PUBLIC))
    status, headers, text = ask(f"{back.path}?{back.query}", browser)
    assert (status, headers["location"]) == (303, path), text
    return ask(path, headers["set-cookie"].partition(";")[0])


def test_fastapi(run: Callable[[str], ModuleType]) -> None:
    status, _, text = sign_in(asgi(run("import Depends").app), "/me")
    assert (status, text) == (200, '{"email":"alice@example.test"}')


def test_flask(run: Callable[[str], ModuleType]) -> None:
    made = run("import Flask")
    status, _, text = sign_in(wsgi(made.app), "/me")
    assert (status, text) == (200, "alice@example.test is alice")
    made.sign_in.close()


def test_starlette(run: Callable[[str], ModuleType]) -> None:
    made = run("import Starlette")
    ask = asgi(made.app)
    assert ask("/", "")[2] == '<a href="/sign-in">Sign in</a>'
    assert "Sign in with Bluesky" in ask("/sign-in", "")[2]
    assert '"client_name": "My App"' in ask("/sign-in/client-metadata.json", "")[2]
    made.sign_in.close()


def test_the_file_of_keyfob_serve() -> None:
    (text,) = re.findall(r"^```yaml\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    settings = settings_of(PUBLIC, yaml.safe_load(text), [Secret("k" * 43)])
    assert [app.id for app in settings.apps] == ["bluesky", "work"]


def test_the_programs_pass_mypy_strict(tmp_path: Path) -> None:
    for number, program in enumerate(PROGRAMS):
        (tmp_path / f"program_{number}.py").write_text(program, "utf-8")
    ran = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file", os.devnull, "--cache-dir", ".mypy", "."],
        cwd=tmp_path,
        env=os.environ | {"MYPYPATH": str(ROOT / "app")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "program_" not in ran.stdout, ran.stdout


def test_all_three_are_there() -> None:
    assert len(PROGRAMS) == 3
