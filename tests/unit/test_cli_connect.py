"""`keyfob connect` and `reconnect`: what they ask of the service, what
they tell meanwhile, where secrets come from.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from keyfob.core.account import AccountView
from keyfob.core.errors import KeyfobError, SignInEnded
from keyfob.core.provider import Provider
from keyfob.core.secret import Secret
from keyfob.service.accounts.views import SignInRequest
from support.cli_run import opens, run
from support.fake_engine import (
    NOW,
    FakeAccounts,
    FakeAttempt,
    FakeCatalogue,
    FakeEventBus,
    sample_providers,
    view,
)
from support.running import Ran

ALICE = view("github", "GitHub", "alice", name="Alice")
Steps = Callable[["Attempt"], None]


class Attempt(FakeAttempt):
    """Goes through the test's steps when it is run."""

    steps: Steps

    def run(self, spawn: Callable[[Callable[[], None], str], None]) -> AccountView:
        self.steps(self)
        return super().run(spawn)


@dataclass
class SignIn:
    catalogue: FakeCatalogue
    accounts: FakeAccounts
    steps: Steps
    requests: list[SignInRequest] = field(default_factory=list)

    def begin(self, request: SignInRequest) -> Attempt:
        self.requests.append(request)
        attempt = Attempt(request, self.catalogue.get(request.provider), self.accounts)
        attempt.steps = self.steps
        return attempt

    def run(self, attempt: Attempt, spawn: Callable[[Callable[[], None], str], None]) -> AccountView:
        return attempt.run(spawn)


class Accounts(FakeAccounts):
    def resolve(self, ref: str) -> Any:
        found = self.view(ref)
        return SimpleNamespace(
            account=SimpleNamespace(provider=found.provider, key=found.key, method=found.method)
        )


@dataclass
class Engine:
    steps: Steps
    rows: list[Provider] = field(default_factory=sample_providers)

    def __post_init__(self) -> None:
        self.providers = FakeCatalogue(self.rows)
        self.accounts = Accounts(FakeEventBus(), [view("openai", "OpenAI", "bob", method="oauth")])
        self.sign_in = SignIn(self.providers, self.accounts, self.steps)

    def close(self) -> None:
        pass

    def call(self, *argv: str, stdin: str = "") -> Ran:
        return run(argv, opens(self), stdin=stdin, now=lambda: NOW)

    @property
    def asked(self) -> SignInRequest:
        return self.sign_in.requests[-1]


def done(attempt: Attempt) -> None:
    attempt.finish(ALICE)


@pytest.fixture
def engine() -> Engine:
    return Engine(done)


def test_what_was_given_is_what_is_asked(engine: Engine) -> None:
    ran = engine.call(
        "connect", "mastodon", "--label", "work", "--scope", "read", "--scope", "write", "--handle", "@a",
        "--input", "instance=social.example", "--client-id", "cid", "--timeout", "30", "--no-browser",
        "--client-secret-stdin", stdin="canary\n",
    )  # fmt: skip
    assert ran.code == 0, ran.err
    assert engine.asked == SignInRequest(
        provider="mastodon",
        label="work",
        scopes=("read", "write"),
        inputs={"instance": "social.example", "handle": "@a"},
        client_id="cid",
        client_secret=Secret("canary"),
        timeout=30.0,
        open_browser=False,
    )
    assert "canary" not in ran.out + ran.err


def test_the_end_is_told_and_json_is_the_account(engine: Engine) -> None:
    ran = engine.call("connect", "github")
    assert ran.out == "Connected as Alice: github/alice\n"
    assert "Next renewal: 15:42." in ran.err.replace(
        f"{(NOW + timedelta(minutes=42)).astimezone():%H:%M}", "15:42"
    )
    assert json.loads(engine.call("connect", "github", "--json").out) == ALICE.to_json()


def test_each_step_is_told_once_on_stderr() -> None:
    def steps(attempt: Attempt) -> None:
        attempt.step("ready", redirect_uri="http://127.0.0.1:9876/callback")
        attempt.step("browser", url=Secret("https://id.example/?state=canary"))
        attempt.step("browser", browser_opened=True)
        attempt.step("waiting", deadline=NOW)
        attempt.step("checking")
        attempt.step("saving")
        attempt.finish(ALICE)

    ran = Engine(steps).call("connect", "github")
    assert ran.err.splitlines()[:-1] == [
        "Signing in at GitHub …",
        "Ready at http://127.0.0.1:9876/callback",
        "Your browser is open. Sign in there, then come back.",
        "Checking who signed in …",
        "Saving to the keychain …",
    ]
    assert "canary" not in ran.err, "the address holds the state: it is shown where it is needed only"


@pytest.mark.parametrize(("argv", "opened"), [([], False), (["--no-browser"], None)])
def test_without_a_browser_the_address_is_shown(argv: list[str], opened: bool | None) -> None:
    def steps(attempt: Attempt) -> None:
        attempt.step("browser", url=Secret("https://id.example/authorize?state=s"), browser_opened=opened)
        attempt.step("waiting", deadline=NOW)
        attempt.finish(ALICE)

    ran = Engine(steps).call("connect", "github", *argv)
    assert "\n  https://id.example/authorize?state=s\n" in ran.err
    assert ("Keyfob could not open a browser." in ran.err) is (opened is False)
    assert "paste the address" in ran.err
    assert "id.example" not in ran.out


def test_a_device_code_is_shown_with_its_address() -> None:
    def steps(attempt: Attempt) -> None:
        attempt.step(
            "code",
            user_code="WDJB-\x1b[2JMJHT",
            verification_uri="https://id.example/device",
            deadline=NOW.astimezone(UTC),
        )
        attempt.finish(ALICE)

    ran = Engine(steps).call("connect", "github", "--method", "device")
    assert "Open  https://id.example/device\nEnter WDJB-\\x1b[2JMJHT\n" in ran.err


def test_scopes_not_granted_are_told() -> None:
    narrow = replace(ALICE, narrower_scopes=("admin",))
    ran = Engine(lambda attempt: attempt.finish(narrow)).call("connect", "github")
    assert "Requested but not granted: admin" in ran.err


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (SignInEnded("You said no", code="declined"), 6),
        (SignInEnded("The time is up", code="timed_out"), 6),
    ],
)
def test_a_failed_sign_in_leaves_stdout_empty(error: KeyfobError, code: int) -> None:
    ran = Engine(lambda attempt: attempt.fail(error)).call("connect", "github", "--json")
    assert (ran.code, ran.out, json.loads(ran.last)["code"]) == (code, "", error.code)


def test_an_api_key_comes_from_stdin(engine: Engine) -> None:
    assert engine.call("connect", "openai", "--api-key-stdin", stdin="canary-key\n").code == 0
    assert (engine.asked.method, engine.asked.api_key) == ("api_key", Secret("canary-key"))
    missing = engine.call("connect", "claude")
    assert missing.code == 2
    assert missing.last.endswith("needs an API key. Pipe it in and add --api-key-stdin.")
    assert engine.call("connect", "claude", "--api-key-stdin", stdin="\n").code == 2


@pytest.mark.parametrize(
    "argv",
    [
        ["connect", "github", "--client-secret-stdin"],
        ["connect", "openai", "--api-key-stdin", "--client-id", "x", "--client-secret-stdin"],
        ["connect", "openai", "--method", "oauth", "--api-key-stdin"],
        ["connect", "openai", "--api-key-stdin", "--password-stdin"],
        ["connect", "github", "--input", "nonsense"],
        ["connect", "github", "--timeout", "0"],
        ["connect", "github", "--method", "telepathy"],
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_begins(engine: Engine, argv: list[str]) -> None:
    ran = engine.call(*argv, stdin="canary\ncanary\n")
    assert (ran.code, ran.out) == (2, "")
    assert engine.sign_in.requests == []


def test_reconnecting_keeps_the_method_unless_another_is_named(engine: Engine) -> None:
    assert engine.call("reconnect", "openai/bob").code == 0
    assert (engine.asked.account, engine.asked.method, engine.asked.switch_method) == (
        "key-openai-bob",
        None,
        False,
    )
    ran = engine.call("reconnect", "openai/bob", "--method", "api_key", "--api-key-stdin", stdin="k\n")
    assert ran.out == "Signed in again as Alice: github/alice\n"
    assert (engine.asked.method, engine.asked.switch_method, engine.asked.api_key) == (
        "api_key",
        True,
        Secret("k"),
    )


def test_a_label_that_is_not_used_is_not_passed_over_in_silence() -> None:
    """The person was connected already: the account keeps the id that tools may ask for."""
    known = Engine(done).call("connect", "github", "--label", "Other one")
    assert known.code == 0, known.err
    assert "already connected as github/alice, so Keyfob did not use the label Other one" in known.err
    assert known.err.endswith("keyfob rename github/alice other-one\n")
    same = Engine(done).call("connect", "github", "--label", "Alice")
    assert "label" not in same.err
