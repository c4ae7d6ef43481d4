"""`keyfob import` and `export`: what is found in other tools' files, moved, blanked, and told."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob.core.account import AccountView
from keyfob.core.errors import KeychainError, KeyfobError, SignInNeeded, Usage
from keyfob.core.provider import Provider
from keyfob.core.secret import Secret
from keyfob.service import legacy
from keyfob.service.views import SignInRequest
from support.cli_run import Ran, doors_to, run
from support.fake_engine import FakeAccounts, FakeAttempt, FakeHub, view
from support.memory_store import MemoryAccountStore
from support.records import a_record

FILES = {
    "gh": """\
github.com:
    users:
        octocat:
            oauth_token: gho_canary1
    user: octocat
    oauth_token: gho_canary1
    git_protocol: https
git.corp.example:
    oauth_token: "gho_canary2"
    user: worker
""",
    "git-credentials": """\
https://octocat:gho_canary1@github.com
https://me:p%40ss-canary2@gitlab.com
https://me:canary3@git.corp.example
not a line
""",
    "netrc": """\
machine github.com login octocat password gho_canary1
machine ftp.corp.example
    login me
    password canary3
machine huggingface.co password "hf_canary2" # mine
""",
    "codex": json.dumps(
        {"OPENAI_API_KEY": "sk-canary1", "tokens": {"refresh_token": "canary2", "access_token": "x"}}
    ),
    "env": """\
# my keys
export OPENAI_API_KEY="sk-canary1"
GITLAB_TOKEN='canary2' # work
HF_TOKEN=$OTHER
PATH=/bin
ANTHROPIC_API_KEY=
""",
    "nexus": json.dumps({"games": [{"nexus_api_key": "canary1"}], "theme": "dark"}),
    "emailproxy": """\
[me@example.org]
token_url = https://oauth2.googleapis.com/token
refresh_token = gAAAA-canary1
[Server setup]
local_port = 1993
""",
}
EXPECTED: dict[str, list[tuple[str | None, str, str | None, dict[str, str]]]] = {
    "gh": [
        ("github", "octocat at github.com", "gho_canary1", {}),
        ("github-enterprise", "git.corp.example", "gho_canary2", {"instance": "git.corp.example"}),
    ],
    "git-credentials": [
        ("github", "octocat at github.com", "gho_canary1", {}),
        ("gitlab", "me at gitlab.com", "p@ss-canary2", {"instance": "gitlab.com"}),
        (None, "me at git.corp.example", None, {}),
    ],
    "netrc": [
        ("github", "octocat at github.com", "gho_canary1", {}),
        (None, "me at ftp.corp.example", None, {}),
        ("huggingface", "huggingface.co", "hf_canary2", {}),
    ],
    "codex": [
        ("openai-api", "OPENAI_API_KEY", "sk-canary1", {}),
        ("openai", "Sign in with ChatGPT", None, {}),
    ],
    "env": [
        ("openai-api", "OPENAI_API_KEY", "sk-canary1", {}),
        ("gitlab", "GITLAB_TOKEN", "canary2", {"instance": "gitlab.com"}),
    ],
    "nexus": [("nexusmods", "nexus_api_key", "canary1", {})],
    "emailproxy": [("google", "me@example.org", None, {})],
}


@pytest.mark.parametrize("source", FILES)
def test_what_is_in_the_files_is_found(source: str) -> None:
    found = legacy.read(source, FILES[source])
    assert [
        (item.provider, item.whose, item.secret.reveal() if item.secret else None, dict(item.inputs))
        for item in found
    ] == EXPECTED[source]
    assert all(item.why for item in found if item.secret is None)


@pytest.mark.parametrize("source", [s for s, found in EXPECTED.items() if any(item[2] for item in found)])
def test_blanking_takes_out_what_was_moved_and_leaves_a_readable_file(source: str) -> None:
    moved = [item.secret for item in legacy.read(source, FILES[source]) if item.secret]
    text = legacy.blanked(source, FILES[source], moved)
    assert not any(secret.reveal() in text for secret in moved)
    left = legacy.read(source, text)
    # What could not be moved stands as it did.
    assert {item.whose for item in left if item.secret is None} >= {
        item[1] for item in EXPECTED[source] if item[2] is None
    }


@given(st.sampled_from(list(legacy.SOURCES)), st.text(max_size=300))
def test_any_text_is_read_or_refused(source: str, text: str) -> None:
    with contextlib.suppress(Usage):
        for item in legacy.read(source, text):
            assert (item.secret is None) is (item.why is not None)


def test_a_nested_bomb_is_refused() -> None:
    with pytest.raises(Usage):
        legacy.read("nexus", "[" * 100_000)


Steps = Callable[[SignInRequest], AccountView | KeyfobError]


@dataclass
class Engine:
    answers: Steps
    requests: list[SignInRequest] = field(default_factory=list)
    store: Any = field(default_factory=MemoryAccountStore)

    @property
    def sign_in(self) -> Engine:
        return self

    def begin(self, request: SignInRequest) -> FakeAttempt:
        self.requests.append(request)
        attempt = FakeAttempt(
            request, Provider(request.provider, request.provider), FakeAccounts(FakeHub(), [])
        )
        answer = self.answers(request)
        if isinstance(answer, KeyfobError):
            attempt.fail(answer)
        else:
            attempt.finish(answer)
        return attempt

    def close(self) -> None:
        pass


def works(request: SignInRequest) -> AccountView:
    return view(request.provider, request.provider, "me", method="api_key")


@pytest.fixture
def env_file(tmp_path: Path) -> Path:
    path = tmp_path / ".env"
    path.write_text(FILES["env"])
    return path


def call(engine: Engine, *argv: str) -> Ran:
    return run(argv, doors_to(engine))


def test_keys_are_moved_by_trying_them(env_file: Path) -> None:
    engine = Engine(works)
    ran = call(engine, "import", "env", "--file", str(env_file))
    assert ran.code == 0, ran.err
    assert engine.requests == [
        SignInRequest("openai-api", "api_key", api_key=Secret("sk-canary1")),
        SignInRequest("gitlab", "api_key", api_key=Secret("canary2"), inputs={"instance": "gitlab.com"}),
    ]
    assert "openai-api/me" in ran.out
    assert "still stands in" in ran.err
    assert env_file.read_text() == FILES["env"]
    assert "canary" not in ran.out + ran.err


def test_blank_takes_out_only_what_was_moved(env_file: Path) -> None:
    def answers(request: SignInRequest) -> AccountView | KeyfobError:
        return (
            SignInNeeded("GitLab refused it", code="token_rejected")
            if request.provider == "gitlab"
            else works(request)
        )

    ran = call(Engine(answers), "import", "env", "--file", str(env_file), "--blank", "--json")
    told = json.loads(ran.out)
    assert told["blanked"] is True
    assert [(e["outcome"], e["account"], e["message"]) for e in told["found"]] == [
        ("moved", "openai-api/me", None),
        ("refused", None, "GitLab refused it"),
    ]
    text = env_file.read_text()
    assert "sk-canary1" not in text
    assert "GITLAB_TOKEN='canary2'" in text
    assert env_file.stat().st_mode & 0o077 == 0


def test_a_dry_run_tries_nothing(env_file: Path) -> None:
    engine = Engine(works)
    ran = call(engine, "import", "env", "--file", str(env_file), "--dry-run", "--blank")
    assert (ran.code, engine.requests) == (0, [])
    assert "would be moved" in ran.out
    assert env_file.read_text() == FILES["env"]


def test_where_nothing_could_be_moved_the_exit_says_why(env_file: Path) -> None:
    ran = call(
        Engine(lambda _: SignInNeeded("It was refused")), "import", "env", "--file", str(env_file), "--blank"
    )
    assert (ran.code, ran.out) == (3, "")
    assert env_file.read_text() == FILES["env"]


def test_a_locked_keychain_ends_it_at_once(env_file: Path) -> None:
    engine = Engine(lambda _: KeychainError("The keychain is locked", code="keychain_locked"))
    ran = call(engine, "import", "env", "--file", str(env_file))
    assert (ran.code, ran.out, len(engine.requests)) == (4, "", 1)


def test_another_tools_sign_in_is_left_to_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CODEX_HOME", str(tmp_path))
    (tmp_path / "auth.json").write_text(json.dumps({"tokens": {"refresh_token": "canary"}}))
    engine = Engine(works)
    ran = call(engine, "import", "codex", "--blank")
    assert (ran.code, engine.requests) == (0, [])
    assert "it cannot have two owners" in ran.out
    assert "keyfob connect openai" in ran.err
    assert "canary" in (tmp_path / "auth.json").read_text()


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["import", "env"], "no usual place"),
        (["import", "nexus", "--file", "/nonexistent"], "cannot be read"),
        (["import", "floppy"], "floppy"),
    ],
)
def test_what_cannot_be_read_is_usage(argv: list[str], said: str) -> None:
    ran = call(Engine(works), *argv)
    assert (ran.code, ran.out) == (2, "")
    assert said in ran.last


def test_an_export_tells_another_machine_what_to_connect() -> None:
    engine = Engine(works)
    record = a_record()
    engine.store.put(record)
    told = json.loads(call(engine, "export").out)
    (entry,) = told["accounts"]
    assert entry["id"] == record.account.id
    assert entry["connect"][:3] == ["keyfob", "connect", record.account.provider]
    assert "key" not in entry
