"""`keyfob providers report`: why a sign-in failed, and nothing that is secret or names somebody."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from keyfob.core.errors import KeyfobError, Transient
from keyfob.core.http import Request, Response
from keyfob.core.secret import Secret
from keyfob.engine import Engine, build
from keyfob.service.accounts.views import SignInRequest
from keyfob.service.sign_in.trace import shown_fields
from support.cli_run import opens, run
from support.fake_ports import NOW, ScriptedTransport, fake_ports

PERSONAL = ("alice", "Alice", "Wonder", "example.org", "4711471147", "gho_", "secret-of-app", "my-own-label")
DEVICE = {
    "device_code": "gho_device0",
    "user_code": "WDJB-MJHT",
    "verification_uri": "https://github.com/login/device",
    "expires_in": 900,
    "interval": 1,
}
TOKEN = {"access_token": "gho_16C7e42F292c6912E7710c8", "token_type": "bearer", "scope": "repo",
         "alice@example.org": "x"}  # fmt: skip
PERSON = {"id": 4711471147, "login": "alice", "name": "Alice Wonder", "email": "alice@example.org"}
REFUSED = {
    "error": "access_denied",
    "error_description": "User alice@example.org (4711471147) with gho_16C7e42F292c6912E7710c8 may not. "
    "AADSTS70000",
}


class GitHub:
    """GitHub's addresses for signing in with a code. `refuses`: the user presses Cancel."""

    refuses = False
    description = REFUSED["error_description"]

    def __call__(self, request: Request) -> Response:
        answers: dict[str, Any] = {"whoami": PERSON}
        if request.url.endswith("/device/code"):
            return self._json(DEVICE)
        if request.purpose == "device":
            return self._json(
                {**REFUSED, "error_description": self.description} if self.refuses else TOKEN,
                400 if self.refuses else 200,
            )
        return self._json(answers[request.purpose])

    def _json(self, body: Any, status: int = 200) -> Response:
        return Response(status, {"content-type": "application/json"}, json.dumps(body).encode(), NOW)


@pytest.fixture
def github() -> GitHub:
    return GitHub()


@pytest.fixture
def engine(tmp_path: Path, github: GitHub, monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.setattr("keyfob.service.runner.pause", lambda _span, _cancel: None)
    return build(fake_ports(tmp_path, transport=ScriptedTransport(github)))


def sign_in(engine: Engine, *, account: str | None = None) -> None:
    request = SignInRequest(
        "github",
        "device",
        account=account,
        label=None if account else "my-own-label",
        client_id="Iv1.0123456789abcdef",
        client_secret=Secret("secret-of-app"),
    )
    engine.sign_in.run(engine.sign_in.begin(request), lambda _job, _name: None)


def reports(engine: Engine) -> tuple[dict[str, Any], str]:
    """The report as JSON and as text."""
    document = run(["providers", "report", "github", "--json"], opens(engine))
    text = run(["providers", "report", "github"], opens(engine))
    assert (document.code, text.code) == (0, 0)
    for word in (*PERSONAL, "0123456789abcdef"):
        assert word not in document.out, word
        assert word not in text.out, word
    return json.loads(document.out), text.out


def test_a_sign_in_that_worked(engine: Engine) -> None:
    sign_in(engine)
    found, text = reports(engine)
    assert found["preset"]["id"] == "github"
    assert len(found["preset"]["sha256"]) == 16
    last = found["last_sign_in"]
    assert (last["method"], last["ok"], last["stages"][-1]) == ("device", True, "done")
    begun, polled, asked = last["requests"]
    assert begun == {
        "for": "device",
        "status": 200,
        "fields": ["device_code", "expires_in", "interval", "user_code", "verification_uri"],
    }
    assert polled["fields"] == ["access_token", "scope", "token_type"]
    assert asked == {"for": "whoami", "status": 200}
    (account,) = found["accounts"]
    assert (account["status"], account["renewable"], account["access_token_lives"]) == (
        "connected",
        False,
        None,
    )
    assert [event["kind"] for event in account["events"]] == ["connected"]
    assert "Last sign-in: 2026-11-20T15:00:12Z, device, worked" in text
    assert "    Fields: access_token, scope, token_type" in text


def test_a_sign_in_that_failed_keeps_the_provider_s_words_without_what_names_somebody(
    engine: Engine, github: GitHub
) -> None:
    github.refuses = True
    with pytest.raises(KeyfobError):
        sign_in(engine)
    found, text = reports(engine)
    assert (found["last_sign_in"]["code"], found["accounts"]) == ("declined", [])
    assert found["last_sign_in"]["requests"][-1]["status"] == 400
    assert "access_denied" in found["last_sign_in"]["words"]
    assert "AADSTS70000" in found["last_sign_in"]["words"]
    assert "failed: declined" in text
    assert "Provider's words:" in text


def test_a_failed_sign_in_to_an_account_does_not_name_its_person(engine: Engine, github: GitHub) -> None:
    sign_in(engine)
    github.refuses = True
    github.description = "Alice Wonder has left example.org"
    with pytest.raises(KeyfobError):
        sign_in(engine, account="github/my-own-label")
    found, _ = reports(engine)
    assert found["last_sign_in"]["words"] == "access_denied: [removed] has left [removed].[removed]"


def test_fields_that_keyfob_does_not_know_are_counted_and_not_named(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A provider may use a user's name as a key."""
    monkeypatch.setitem(TOKEN, "alice", {"wonder": 1, "scope": 2})
    sign_in(engine)
    found, text = reports(engine)
    fields = found["last_sign_in"]["requests"][1]["fields"]
    assert fields == ["access_token", "scope", "token_type", "3 others"]
    assert "Fields: access_token, scope, token_type, 3 others" in text
    assert shown_fields(["code", "alice"]) == ["code", "1 other"]


def test_a_request_that_was_not_answered_is_in_the_report(tmp_path: Path) -> None:
    engine = build(fake_ports(tmp_path, transport=ScriptedTransport()))
    with pytest.raises(Transient):
        sign_in(engine)
    found, _ = reports(engine)
    assert found["last_sign_in"]["requests"] == [{"for": "device", "failed": "network_unreachable"}]


def test_without_a_sign_in_the_report_says_so(engine: Engine) -> None:
    found, text = reports(engine)
    assert (found["last_sign_in"], found["accounts"]) == (None, [])
    assert "No sign-in is recorded." in text
    assert run(["providers", "report", "nobody"], opens(engine)).code == 7
