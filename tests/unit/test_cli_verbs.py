"""Golden output of the verbs that look at accounts and change them, and how each fails."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import timedelta
from textwrap import dedent
from types import SimpleNamespace
from typing import Any

import pytest

from keyfob.agent.remedies import REMEDIES
from keyfob.cli import main as cli
from keyfob.cli.disconnect import how_it_ended
from keyfob.core.account import LoggedEvent
from keyfob.core.errors import (
    Fault,
    KeychainError,
    KeyfobError,
    NotFound,
    PeerFault,
    SettingWrong,
    SignInEnded,
    SignInNeeded,
    Transient,
    Usage,
)
from keyfob.core.secret import Secret
from keyfob.service.accounts.views import Disconnection, Finding, Token
from support.cli_run import opens, run
from support.fake_engine import NOW, D, FakeAccounts, FakeEventBus, M, sample_events, sample_views
from support.memory_store import MemoryAccountStore
from support.running import Ran

VIEWS = sample_views()


class Accounts(FakeAccounts):
    """The window's fake, with what the command line asks besides."""

    min_lives: list[tuple[timedelta | None, Secret | None]]

    def token(self, ref: str, *, min_life: timedelta | None = None, rejected: Secret | None = None) -> Token:
        self.min_lives = [*getattr(self, "min_lives", []), (min_life, rejected)]
        found = super().token(ref, min_life=min_life, rejected=rejected)
        return replace(found, header_name="X-Api-Key", header_value=Secret("canary-header"))

    def resolve(self, ref: str) -> Any:
        return SimpleNamespace(account=SimpleNamespace(key=self.view(ref).key))

    def disconnect(self, ref: str, *, local: bool = False) -> Disconnection:
        ended = super().disconnect(ref)
        return replace(ended, revoked="unsupported", reason="local", left=1) if local else ended

    def remove(self, ref: str, *, local: bool = False) -> Disconnection:
        return super().remove(ref)

    def history(self, ref: str | None = None, limit: int = 50, after: int = 0) -> list[LoggedEvent]:
        row = self.view(ref or "nexusmods/aldis")
        return [event for event in sample_events(row.key, row.id) if event.seq > after][-limit:]


@dataclass
class Doctor:
    findings: list[Finding]

    def run(self, tray: bool | None = None) -> list[Finding]:
        return self.findings


@dataclass
class Engine:
    accounts: Accounts = field(default_factory=lambda: Accounts(FakeEventBus(), list(VIEWS)))
    doctor: Doctor = field(default_factory=lambda: Doctor([]))
    store: MemoryAccountStore = field(default_factory=MemoryAccountStore)
    closed: int = 0

    def close(self) -> None:
        self.closed += 1


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.delenv("NO_COLOR", raising=False)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.fixture
def engine() -> Engine:
    return Engine()


def call(engine: Engine, *argv: str, stdin: str = "") -> Ran:
    ran = run(argv, opens(engine), stdin=stdin, now=lambda: NOW)
    assert engine.closed == 1, "the engine is closed at the end of each command"
    engine.closed = 0
    return ran


def golden(text: str) -> str:
    return dedent(text).lstrip("\n")


def test_accounts_are_listed_one_a_line(engine: Engine) -> None:
    del engine.accounts.rows[5:7]
    ran = call(engine, "accounts")
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == golden("""
        ACCOUNT                    NAME               STATUS         TOKEN
        nexusmods/aldis            Aldis              connected      renews automatically in 42 min
        bluesky/aldis.bsky.social  aldis.bsky.social  connected      renews automatically in 1 h
        github/aldis-k             aldis-k            connected      renews automatically in 7 h
        google/work@example.org    work@example.org   needs sign-in  Google ended this sign-in
        openai/key-f3qa            key-f3qa           connected      no known expiry
        spotify/aldis              Aldis              disconnected   you signed out
        """)


def test_stale_and_renewing_accounts_say_so(engine: Engine) -> None:
    engine.accounts.rows[:] = engine.accounts.rows[5:7]
    lines = call(engine, "accounts").out.splitlines()
    assert lines[1].split("  ")[-2:] == [
        "waiting to renew",
        "Mastodon is not available right now",
    ]
    assert [cell.strip() for cell in lines[2].split("  ") if cell][-2:] == ["renewing", "renews now"]


def test_accounts_as_json_are_the_interfaces_document(engine: Engine) -> None:
    ran = call(engine, "accounts", "--json")
    assert json.loads(ran.out) == {"accounts": [view.to_json() for view in VIEWS]}


def test_without_accounts_the_next_step_is_told(engine: Engine) -> None:
    engine.accounts.rows.clear()
    assert (
        call(engine, "accounts").out
        == "There are no accounts yet. To connect one, run: keyfob connect PROVIDER\n"
    )
    assert (
        call(engine, "status").out
        == "There are no accounts yet. To connect one, run: keyfob connect PROVIDER\n"
    )
    assert json.loads(call(engine, "accounts", "--json").out) == {"accounts": []}


def test_one_account_in_full(engine: Engine) -> None:
    assert call(engine, "status", "github/aldis-k").out == golden("""
        aldis-k  connected
          Account       github/aldis-k
          Provider      GitHub
          Method        device code
          Subject       248289761001
          Token         renews automatically in 7 h
          Expires       22:30
          Scopes        repo read:org gist workflow read:packages user:email notifications admin:public_key read:discussion project
          Not granted   delete_repo
          Connected     12 March 15:00
          Last renewed  14:02
        """)  # noqa: E501 - as it is printed


def test_an_account_that_needs_the_person_says_what_to_do(engine: Engine) -> None:
    assert call(engine, "status", "google/work@example.org").out == golden("""
        work@example.org  needs sign-in
          Account       google/work@example.org
          Provider      Google
          Method        browser
          Subject       248289761001
          Email         work@example.org
          Token         Google ended this sign-in
          Expires       Tuesday 15:00
          Scopes        openid profile email
          Connected     10 November 15:00
          Last renewed  14:02
          Last error    Google ended this sign-in (grant_ended, Tuesday 15:00)
          Details       Google's token endpoint answered 400: invalid_grant: Token has been expired or revoked.
          What to do    Run: keyfob reconnect google/work@example.org
        """)  # noqa: E501 - as it is printed


def test_status_without_an_account_sums_up(engine: Engine) -> None:
    assert call(engine, "status").out == golden("""
        8 accounts, 5 connected
        google/work@example.org: needs sign-in. Run: keyfob reconnect google/work@example.org
        mastodon/aldis@social.example: waiting to renew. Wait a few minutes and try again.
        spotify/aldis: disconnected. Run: keyfob reconnect spotify/aldis
        """)
    only = VIEWS[0]
    engine.accounts.rows[:] = [only]
    assert json.loads(call(engine, "status", "--json").out) == only.to_json()


def test_the_token_stands_alone_on_stdout(engine: Engine) -> None:
    ran = call(engine, "token", "nexusmods/aldis")
    assert (ran.code, ran.out, ran.err) == (0, "canary-access-token\n", "")
    assert call(engine, "token", "nexusmods/aldis", "--header").out == "X-Api-Key: canary-header\n"
    document = json.loads(call(engine, "token", "nexusmods/aldis", "--json").out)
    assert document == {
        "account": "nexusmods/aldis",
        "token": "canary-access-token",
        "token_type": "Bearer",
        "expires_at": "2026-11-20T15:52:12Z",
        "scopes": ["openid", "profile", "email"],
    }


def test_min_life_and_the_refused_token_reach_the_keeper(engine: Engine) -> None:
    call(engine, "token", "nexusmods/aldis")
    call(engine, "token", "nexusmods/aldis", "--min-life", "900", "--rejected-stdin", stdin="refused\nmore\n")
    assert engine.accounts.min_lives == [
        (None, None),  # the usual, as the keeper knows it
        (timedelta(seconds=900), Secret("refused")),
    ]
    ran = run(["token", "nexusmods/aldis", "--rejected-stdin"], opens(engine))
    assert (ran.code, ran.out) == (2, "")


def test_the_deeds_are_told(engine: Engine) -> None:
    assert (
        call(engine, "renew", "nexusmods/aldis").out
        == "Renewed nexusmods/aldis: renews automatically in 42 min\n"
    )
    assert call(engine, "test", "nexusmods/aldis").out == (
        "nexusmods/aldis works: the provider says that you are Aldis (84 ms)\n"
    )
    assert (
        call(engine, "rename", "nexusmods/aldis", "play").out == "Renamed nexusmods/aldis to nexusmods/play\n"
    )
    assert call(engine, "disconnect", "nexusmods/play").out == (
        "Disconnected nexusmods/play. The provider confirmed that it is revoked.\n"
    )
    assert call(engine, "disconnect", "github/aldis-k", "--local").out == (
        "Disconnected github/aldis-k. Keyfob did not ask the provider to revoke anything, because you used "
        "--local. To end access there, use your account settings at GitHub.\n"
    )
    assert call(engine, "remove", "nexusmods/play").out == (
        "Removed nexusmods/play. The provider confirmed that it is revoked.\n"
    )


def test_the_deeds_as_json(engine: Engine) -> None:
    def of(*argv: str) -> Any:
        return json.loads(call(engine, *argv, "--json").out)

    assert of("renew", "github/aldis-k")["id"] == "github/aldis-k"
    assert of("test", "github/aldis-k")["ok"] is True
    assert of("rename", "github/aldis-k", "k")["id"] == "github/k"
    ended = of("disconnect", "github/k")
    assert (ended["id"], ended["revoked"], ended["account"]["status"]) == ("github/k", "yes", "disconnected")
    assert of("remove", "github/k") == {
        "id": "github/k", "revoked": "yes", "reason": None, "sign_ins": 1, "left": 0, "account": None,
    }  # fmt: skip


BY_HAND = "To end access there, use your account settings at Example."


@pytest.mark.parametrize(
    ("ended", "words"),
    [
        (Disconnection(None, "yes"), "The provider confirmed that it is revoked."),
        (
            Disconnection(None, "yes", sign_ins=3),
            "The provider confirmed that all 3 sign-ins of this account are revoked.",
        ),
        (
            Disconnection(None, "pending"),
            "The provider has not confirmed the revocation yet. Keyfob keeps trying.",
        ),
        (
            Disconnection(None, "pending", "refused", sign_ins=3, left=1),
            f"The provider did not revoke 1 of 3 sign-ins of this account. {BY_HAND} Keyfob keeps trying "
            "to revoke the rest.",
        ),
        (
            Disconnection(None, "unsupported", "not_offered", left=1),
            f"The provider cannot revoke it. {BY_HAND}",
        ),
        (
            Disconnection(None, "unsupported", "refused", sign_ins=3, left=2),
            f"The provider refused to revoke 2 of 3 sign-ins of this account. {BY_HAND}",
        ),
        (Disconnection(None, "unsupported", "nothing_left"), "There was no token to revoke."),
    ],
)
def test_s85_the_last_sentence_says_what_became_of_each_sign_in(ended: Disconnection, words: str) -> None:
    assert how_it_ended(ended, "Example") == words


def test_events(engine: Engine) -> None:
    assert call(engine, "events", "--limit", "3").out == golden("""
        04:10  nexusmods/aldis  Renewed
        12:22  nexusmods/aldis  Renewed after 8 h asleep
        14:02  nexusmods/aldis  Renewed
        """)
    told = json.loads(call(engine, "events", "--json").out)
    assert [event["kind"] for event in told["events"]][-2:] == ["asleep", "renewed"]
    assert told["events"][-1]["at"] == "2026-11-20T14:02:12Z"


def test_doctor_gives_each_failing_line_its_remedy(engine: Engine) -> None:
    engine.doctor.findings = [
        Finding("keychain", True, "GNOME Keyring: written, read and deleted in 26 ms"),
        Finding("callback_port", False, "9876 is held by node (pid 4)", "Close it.", "fail"),
        Finding("proxy", True, "HTTPS_PROXY is set", "Fine, unless you wonder.", "note"),
    ]
    ran = call(engine, "doctor")
    assert (ran.code, ran.err) == (1, "")
    assert ran.out == golden("""
        ok    keychain       GNOME Keyring: written, read and deleted in 26 ms
        fail  callback port  9876 is held by node (pid 4)
                             → Close it.
        note  proxy          HTTPS_PROXY is set
                             → Fine, unless you wonder.

        1 of 3 need attention.
        """)
    ran = call(engine, "doctor", "--json")
    told = json.loads(ran.out)
    assert (ran.code, ran.err, told["ok"]) == (1, "", False)
    assert told["findings"][1]["remedy"] == "Close it."


def test_doctor_ends_well_when_no_check_fails(engine: Engine) -> None:
    engine.doctor.findings = [
        Finding("proxy", True, "HTTPS_PROXY is set", "Fine, unless you wonder.", "note")
    ]
    for words in (("doctor",), ("doctor", "--json")):
        assert call(engine, *words).code == 0


EXITS: list[tuple[KeyfobError, int]] = [
    (Fault("A bug"), 1),
    (Usage("google has 2 accounts: google/a, google/b", code="account_ambiguous"), 2),
    (SignInNeeded("Google ended this sign-in", detail="Google answered 400: invalid_grant"), 3),
    (KeychainError("The keychain is locked", code="keychain_locked"), 4),
    (Transient("Google answered 503"), 5),
    (SignInEnded("You said no", code="declined"), 6),
    (NotFound("There is no account x"), 7),
    (SettingWrong("Port 9876 is taken", code="port_taken"), 8),
    (PeerFault("The state is another's", code="state_mismatch"), 9),
]


def test_without_a_screen_a_locked_keychain_has_a_remedy_that_needs_none(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    engine.accounts.error = KeychainError("The keychain is locked", code="keychain_locked")
    assert "keyfob settings set vault sealed" in call(engine, "token", "nexusmods/aldis").err


@pytest.mark.parametrize(("error", "code"), EXITS, ids=lambda value: getattr(value, "code", value))
def test_a_failure_has_its_exit_one_line_and_an_empty_stdout(
    engine: Engine, error: KeyfobError, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISPLAY", ":0")  # without one the keychain has another remedy
    engine.accounts.error = error
    for verb in ("token", "renew", "test", "disconnect"):
        ran = call(engine, verb, "nexusmods/aldis")
        assert (ran.code, ran.out) == (code, "")
        remedy = REMEDIES[error.code]
        assert ran.err == f"keyfob: {error.message}. {remedy}\n"
        ran = call(engine, verb, "nexusmods/aldis", "--json")
        assert (ran.code, ran.out) == (code, "")
        told = json.loads(ran.err)
        assert (told["code"], told["message"], told["advice"], told["detail"]) == (
            error.code,
            error.message,
            str(error.advice),
            error.detail,
        )


def test_a_bug_of_ours_tells_its_kind_and_nothing_it_held(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    engine.accounts.error = ValueError("canary")  # type: ignore[assignment]
    ran = call(engine, "token", "nexusmods/aldis")
    assert (ran.code, ran.out) == (1, "")
    assert ran.last.startswith("keyfob: Keyfob failed: ValueError. ")
    assert "canary" not in ran.err
    caplog.clear()


def test_a_hint_of_the_parser_is_part_of_what_to_do() -> None:
    ran = run(["token", "a", "--min-lif", "3"], opens(None))
    assert ran.err.startswith("keyfob: No such option '--min-lif'. ")
    assert "'--min-life'? See `keyfob token --help`." in ran.err.replace("?)", "?")


@pytest.mark.parametrize(
    ("argv", "line"),
    [
        (["bogus"], "keyfob: No such command 'bogus'. See `keyfob --help`."),
        (["token"], "keyfob: Missing argument 'ACCOUNT'. See `keyfob token --help`."),
        (
            ["token", "a", "--zzz"],
            "keyfob: No such option '--zzz'. See `keyfob token --help`.",
        ),
        (
            ["token", "a", "--min-life", "x"],
            (
                "keyfob: Invalid value for '--min-life': 'x' is not a valid number of seconds. See `keyfob "
                "token --help`."
            ),
        ),
        (["providers", "bogus"], "keyfob: No such command 'bogus'. See `keyfob providers --help`."),
    ],
)
def test_usage_mistakes_exit_2_in_the_same_form(argv: list[str], line: str) -> None:
    ran = run(argv, opens(None))
    assert (ran.code, ran.out, ran.err) == (2, "", line + "\n")
    ran = run([*argv, "--json"], opens(None))
    assert (ran.code, ran.out, json.loads(ran.err)["code"]) == (2, "", "usage")


def test_every_verb_has_help_with_an_example_and_the_overviews_line() -> None:
    for name, verb in cli.VERBS.items():
        ran = run([name, "--help"], opens(None))
        assert (ran.code, ran.err) == (0, "")
        assert f"keyfob {name}" in ran.out.split("\n", 1)[1], f"{name} --help has an example"
        command = cli.keyfob.get_command(None, name)  # type: ignore[arg-type]
        assert command is not None
        assert command.get_short_help_str(limit=200) == verb.line
    subs = {"providers": ("list", "show", "check", "add"), "settings": ("list", "get", "set")}
    for name, sub in ((name, sub) for name, each in subs.items() for sub in each):
        ran = run([name, sub, "--help"], opens(None))
        assert f"keyfob {name} {sub}" in ran.out.split("\n", 1)[1]


def test_without_a_verb_the_window_opens() -> None:
    opened: list[list[str]] = []
    what = opens(None, window=lambda argv: opened.append(list(argv)) or 3)
    assert run([], what).code == 3
    assert run(["demo"], what).code == 3
    assert opened == [[], ["--demo"]]


def test_the_version() -> None:
    from keyfob import __version__

    assert run(["--version"], opens(None)).out == f"keyfob {__version__}\n"


def test_no_colour_is_written_where_nobody_can_see_it_or_wants_it(engine: Engine) -> None:
    assert "\x1b" not in call(engine, "accounts").out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_name_the_program(shell: str) -> None:
    ran = run(["completion", shell], opens(None))
    assert ran.code == 0
    assert "_KEYFOB_COMPLETE" in ran.out


def test_completion_knows_verbs_accounts_and_options(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def complete(line: str) -> set[str]:
        words = line.split(" ")
        monkeypatch.setenv("_KEYFOB_COMPLETE", "bash_complete")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(words) - 1))
        ran = run([], opens(engine))
        return {entry.partition(",")[2] for entry in ran.out.splitlines()}

    assert complete("keyfob re") == {verb for verb in cli.VERBS if verb.startswith("re")}
    assert complete("keyfob zz") <= {""}
    assert complete("keyfob token g") == {"github/aldis-k", "google/work@example.org"}
    assert "--min-life" in complete("keyfob token --m")
    assert os.environ["COMP_WORDS"]


def test_a_moment_close_to_now_has_its_seconds() -> None:
    from keyfob.cli import words

    assert words.moment(None, NOW) == "never"
    assert words.moment(NOW - 2 * M, NOW) == "14:58:12"
    assert words.moment(NOW - 6 * M, NOW) == "14:54"
    assert words.moment(NOW - D, NOW) == "yesterday 15:00"
    assert words.moment(NOW - 400 * D, NOW) == "16 October 2025"


def test_a_moment_to_wait_for_is_told_in_local_time(capsys: pytest.CaptureFixture[str]) -> None:
    from keyfob.cli import failure

    asked = Transient("Example asked to wait", code="asked_to_wait", until=NOW + timedelta(seconds=5))
    clock = f"{(NOW + timedelta(seconds=5)).astimezone():%H:%M:%S}"
    assert failure.report(asked, as_json=False) == 5
    assert capsys.readouterr().err == (
        f"keyfob: Example asked to wait until {clock}. Keyfob then tries again automatically.\n"
    )
    failure.report(asked, as_json=True)
    assert json.loads(capsys.readouterr().err)["message"] == f"Example asked to wait until {clock}"
