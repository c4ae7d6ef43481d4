"""The Python module as a user's program sees it: types, names, the fake for tests, and the page that explains
them.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

import keyfob
import keyfob.testing
from keyfob.client import tokens
from keyfob.client.auth_flow import AuthFlow

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/python.md").read_text()


def test_each_example_of_the_page_passes_mypy_strict(tmp_path: Path) -> None:
    """As a program outside this project: with no settings but --strict."""
    examples = re.findall(r"^```python\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)
    assert len(examples) >= 5
    for number, example in enumerate(examples):
        (tmp_path / f"example_{number}.py").write_text(example)
    (tmp_path / "wrong.py").write_text('import keyfob\nkeyfob.Auth(7)\nx: int = keyfob.token("github")\n')
    ran = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--config-file", os.devnull, "--cache-dir", ".mypy", "."],
        cwd=tmp_path,
        env=os.environ | {"MYPYPATH": str(ROOT / "app")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "example_" not in ran.stdout, ran.stdout
    wrong = [line for line in ran.stdout.splitlines() if line.startswith("wrong.py")]
    assert [line.split(":")[1] for line in wrong] == ["2", "3"], ran.stdout + ran.stderr


def test_the_wheel_says_that_it_has_types() -> None:
    assert Path(keyfob.__file__).with_name("py.typed").exists()


def test_each_public_name_is_there_and_the_page_explains_it() -> None:
    for name in keyfob.__all__:
        assert getattr(keyfob, name) is not None
        assert name in PAGE or name == "__version__", name
    with pytest.raises(AttributeError, match="nonsense"):
        keyfob.nonsense  # type: ignore[attr-defined]  # noqa: B018


def test_importing_it_loads_no_library() -> None:
    libraries = "'httpx', 'aiohttp', 'requests', 'PySide6'"
    code = f"import sys, keyfob; print(*(m for m in ({libraries}) if m in sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == ""


@pytest.mark.parametrize("account", [None, 7, "", b"github"])
def test_an_account_that_is_no_text_is_refused_in_words(account: Any) -> None:
    for call in (keyfob.token, keyfob.Auth, keyfob.RequestsAuth, keyfob.AiohttpAuth, keyfob.Httpx2Auth):
        with pytest.raises(keyfob.Usage, match="github/alice"):
            call(account)


def test_the_fake_serves_tokens_accounts_and_requests() -> None:
    seen: list[str] = []

    def api(request: httpx.Request) -> httpx.Response:
        seen.append(request.headers["authorization"])
        return httpx.Response(401 if len(seen) == 1 else 200)

    with keyfob.testing.fake_accounts({"github/alice": "t", "work/bob": "w", "work/eve": "e"}) as fake:
        assert keyfob.token("github") == "t"
        assert keyfob.token("github", rejected="t") == "t-renewed-1"
        assert keyfob.token("github", rejected="t") == "t-renewed-1"
        assert [account["id"] for account in keyfob.accounts()] == ["github/alice", "work/bob", "work/eve"]
        with httpx.Client(auth=keyfob.Auth("work/bob"), transport=httpx.MockTransport(api)) as http:
            assert http.get("https://anything.example/").status_code == 200
        with pytest.raises(keyfob.Usage):
            keyfob.token("work")
        with pytest.raises(keyfob.NotFound):
            keyfob.token("nobody")
        fake.errors["work/eve"] = keyfob.SignInNeeded("The sign-in has ended", code="grant_ended")
        with pytest.raises(keyfob.SignInNeeded):
            keyfob.token("work/eve")
    assert seen == ["Bearer w", "Bearer w-renewed-1"]
    assert fake.requests == [("GET", "https://anything.example/")] * 2


def test_after_the_fake_nothing_of_it_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    with keyfob.testing.fake_accounts({"github/alice": "t"}):
        keyfob.token("github")
    answer = {"token": "real", "expires_at": None}
    monkeypatch.setattr(tokens.running_agent, "lease", lambda account, **_: answer)
    assert keyfob.token("github") == "real"
    tokens.forget()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="forks, which this system cannot")
def test_a_child_does_not_wait_for_a_lock_that_a_thread_held_at_the_fork() -> None:
    code = """
import os, signal, threading
import keyfob.testing
from keyfob.client import tokens
from keyfob.client.auth_flow import AuthFlow

with keyfob.testing.fake_accounts({"github/alice": "t"}):
    lock = tokens._asking.setdefault("github", threading.Lock())
    lock.acquire()
    if not os.fork():
        signal.alarm(10)
        tokens.credentials("github", "GET", "https://api.example/")
        os._exit(0)
    raise SystemExit(os.waitstatus_to_exitcode(os.wait()[1]))
"""
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, "")


def test_threads_with_one_refused_token_ask_once() -> None:
    with keyfob.testing.fake_accounts({"github/alice": "t"}) as fake:
        keyfob.token("github")
        fake.asked.clear()
        threads = [
            threading.Thread(
                target=tokens.credentials, args=("github", "GET", "https://a.example/", None, "t")
            )
            for _ in range(20)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert fake.asked == ["github/alice"]


def test_credentials_show_no_token_when_they_are_printed() -> None:
    """A debugger, a log or a failed assertion may print them."""
    with keyfob.testing.fake_accounts({"github/alice": "canary"}):
        found = AuthFlow("github", "GET", "https://api.example/?key=canary").credentials()
    assert found.headers == {"Authorization": "Bearer canary"}
    assert "canary" not in f"{found!r} {found}"
