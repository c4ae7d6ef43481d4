"""AWS IAM Identity Center: signing in, choosing a role, and keys that are kept until they get old."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from keyfob.core.errors import KeychainError, KeyfobError
from keyfob.core.http import Request, Response
from keyfob.core.secret import Secret
from keyfob.engine import Engine, build
from keyfob.service.accounts.views import SignInRequest
from support.aws_services import START_URL, AwsServices
from support.cli_run import opens, run
from support.fake_ports import FakeVault, FixedClock, ScriptedTransport, fake_ports

ONE = (("111122223333", "Sandbox", "ReadOnly"),)
READ = ("--account-id", "111122223333", "--role", "ReadOnly")


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def aws(clock: FixedClock) -> AwsServices:
    return AwsServices(clock)


@pytest.fixture
def vault() -> FakeVault:
    return FakeVault()


@pytest.fixture
def engine(
    tmp_path: Path, aws: AwsServices, clock: FixedClock, vault: FakeVault, monkeypatch: pytest.MonkeyPatch
) -> Engine:
    monkeypatch.setattr("keyfob.service.runner.pause", lambda _span, _cancel: None)

    def answer(request: Request) -> Response:
        status, body = aws.answer(request.method, request.url, request.headers, request.body or b"")
        data = json.dumps(body).encode()
        return Response(status, {"content-type": "application/json"}, data, clock(), request.url)

    return build(fake_ports(tmp_path, transport=ScriptedTransport(answer), clock=clock, vault=vault))


def connect(engine: Engine, *, account: str | None = None, label: str | None = "work") -> None:
    request = SignInRequest(
        "aws-iam-identity-center",
        "device",
        account=account,
        label=None if account else label,
        inputs={"start_url": START_URL, "region": "eu-west-1"},
    )
    engine.sign_in.run(engine.sign_in.begin(request), lambda _job, _name: None)


def call(engine: Engine, *argv: str) -> Any:
    return run(["credential", *argv], opens(engine))


def keys(engine: Engine, *options: str) -> dict[str, str]:
    ran = call(engine, "aws", "aws-iam-identity-center/work", *options)
    assert ran.code == 0, ran.err
    found: dict[str, str] = json.loads(ran.out)
    return found


def test_a_sign_in_registers_a_client_and_is_renewed(engine: Engine, aws: AwsServices) -> None:
    connect(engine)
    assert aws.seen == ["/client/register", "/device_authorization", "/token", "/token"]
    (record,) = engine.store.records()
    assert record.account.pin.client_id == "made-up-client"
    assert record.grant_ends_at is not None  # with the registration
    assert record.account.name == START_URL
    view = engine.accounts.renew(record.account.key)
    assert (view.status, view.renewable) == ("connected", True)
    aws.ended = True
    with pytest.raises(KeyfobError) as ended:
        engine.accounts.renew(record.account.key)
    assert ended.value.code == "grant_ended"


def test_without_a_label_the_account_is_called_after_its_portal(engine: Engine) -> None:
    connect(engine, label=None)
    (record,) = engine.store.records()
    assert record.account.id == "aws-iam-identity-center/my-company.awsapps.com-start"


def test_keys_for_a_role_are_kept_until_shortly_before_their_end(
    engine: Engine, aws: AwsServices, clock: FixedClock
) -> None:
    connect(engine)
    first = keys(engine, *READ)
    assert first["Version"] == 1  # type: ignore[comparison-overlap]
    assert first["Expiration"] == "2026-11-20T16:00:12Z"
    assert keys(engine, *READ) == first
    clock.forward(minutes=43)
    assert keys(engine, *READ) == first
    clock.forward(minutes=2)  # AWS tools take keys for old 15 minutes before their end
    assert keys(engine, *READ)["AccessKeyId"] != first["AccessKeyId"]
    assert aws.seen.count("/federation/credentials") == 2


def test_keys_of_other_roles_do_not_disturb_each_other(engine: Engine, aws: AwsServices) -> None:
    connect(engine)
    read = keys(engine, *READ)
    admin = keys(engine, "--account-id", "111122223333", "--role", "Admin")
    assert admin["AccessKeyId"] != read["AccessKeyId"]
    assert (keys(engine, *READ), keys(engine, "--account-id", "111122223333", "--role", "Admin")) == (
        read,
        admin,
    )
    assert aws.seen.count("/federation/credentials") == 2


def test_the_only_role_needs_no_choice_and_is_not_looked_up_again(engine: Engine, aws: AwsServices) -> None:
    aws.roles = ONE
    connect(engine)
    assert keys(engine) == keys(engine)
    assert aws.seen.count("/assignment/accounts") == 1


def test_several_roles_want_a_choice(engine: Engine) -> None:
    connect(engine)
    ran = call(engine, "aws", "aws-iam-identity-center/work", "--role", "ReadOnly")
    assert (ran.code, ran.out) == (2, "")
    assert "2 roles that fit: ReadOnly in 111122223333, ReadOnly in 444455556666" in ran.err
    assert "keyfob credential aws-roles aws-iam-identity-center/work" in ran.err
    assert keys(engine, "--role", "Admin")["AccessKeyId"].startswith("ASIA")
    unknown = call(engine, "aws", "aws-iam-identity-center/work", "--role", "Nobody")
    assert (unknown.code, unknown.out) == (2, "")
    refused = call(engine, "aws", "aws-iam-identity-center/work", "--account-id", "9", "--role", "Admin")
    assert "AWS does not give you the role Admin in the account 9" in refused.err


def test_the_roles_are_listed_over_several_pages(engine: Engine, aws: AwsServices) -> None:
    aws.page = 1
    connect(engine)
    listed = json.loads(call(engine, "aws-roles", "aws-iam-identity-center/work", "--json").out)["roles"]
    assert [(each["account_id"], each["account_name"], each["role"]) for each in listed] == list(aws.roles)
    text = call(engine, "aws-roles", "aws-iam-identity-center/work").out
    assert "444455556666  Live" in text
    aws.roles = ()
    assert "You have no role" in call(engine, "aws-roles", "aws-iam-identity-center/work").out


def test_a_token_that_aws_refuses_is_renewed_once(engine: Engine, aws: AwsServices) -> None:
    connect(engine)
    aws.refused.add(next(each for each in aws.secrets if "access" in each))
    assert keys(engine, *READ)["AccessKeyId"].startswith("ASIA")
    aws.refused.update(each for each in aws.secrets if "access" in each)
    aws.ended = True
    ran = call(engine, "aws", "aws-iam-identity-center/work", "--account-id", "444455556666",
               "--role", "ReadOnly")  # fmt: skip
    assert (ran.code, ran.out) == (3, "")


def test_keys_end_with_the_sign_in(engine: Engine, aws: AwsServices, vault: FakeVault) -> None:
    connect(engine)
    first = keys(engine, *READ)
    (record,) = engine.store.records()
    connect(engine, account=record.account.key)
    assert keys(engine, *READ) != first  # another person may have signed in
    assert vault.load(f"{record.account.key}/roles") is not None
    engine.accounts.disconnect(record.account.key)
    assert vault.load(f"{record.account.key}/roles") is None
    assert aws.seen[-1] == "/logout"


@pytest.mark.parametrize("ending", ["disconnect", "remove"])
def test_s85_keys_that_come_after_the_end_of_the_sign_in_are_not_kept(
    engine: Engine, vault: FakeVault, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    connect(engine)
    (record,) = engine.store.records()
    entry = f"{record.account.key}/roles"
    save = vault.save

    def save_late(name: str, value: Secret) -> None:
        if name == entry:
            monkeypatch.setattr(vault, "save", save)
            getattr(engine.accounts, ending)(record.account.key)
        save(name, value)

    monkeypatch.setattr(vault, "save", save_late)
    keys(engine, *READ)
    assert vault.load(entry) is None


def test_without_a_keychain_keys_are_asked_for_each_time(
    engine: Engine, aws: AwsServices, vault: FakeVault, monkeypatch: pytest.MonkeyPatch
) -> None:
    connect(engine)
    (record,) = engine.store.records()

    def refuses(_name: str, _value: Secret) -> None:
        raise KeychainError("The keychain is full", code="keychain_write_lost")

    monkeypatch.setattr(vault, "save", refuses)
    assert keys(engine, *READ) != keys(engine, *READ)
    vault_entry = f"{record.account.key}/roles"
    monkeypatch.undo()
    vault.save(vault_entry, Secret('{"epoch": 1, "roles": [{}]}'))  # of another version
    assert keys(engine, *READ)["AccessKeyId"].startswith("ASIA")


def test_nothing_secret_is_logged_or_said(
    engine: Engine, aws: AwsServices, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    connect(engine)
    keys(engine, *READ)
    aws.roles = ()
    failed = call(engine, "aws", "aws-iam-identity-center/work")
    said = (
        caplog.text
        + failed.err
        + repr(engine.store.records())
        + json.dumps(run(["providers", "report", "aws-iam-identity-center", "--json"], opens(engine)).out)
    )
    assert len(aws.secrets) >= 6
    for secret in aws.secrets:
        assert secret not in said


def test_other_accounts_take_no_role(engine: Engine) -> None:
    ran = call(engine, "aws", "nobody", *READ)
    assert (ran.code, ran.out) == (2, "")
    assert "is not an account of AWS IAM Identity Center" in ran.err
    assert call(engine, "aws-roles", "nobody").code == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"accessKeyId": "ASIA1", "secretAccessKey": "s"},
        {"accessKeyId": "ASIA1", "secretAccessKey": "s", "sessionToken": "t\n"},
        {"accessKeyId": "ASIA1", "secretAccessKey": "s", "sessionToken": "t"},
        {"accessKeyId": "ASIA1", "secretAccessKey": "s", "sessionToken": "t", "expiration": True},
    ],
)
def test_an_unusable_answer_is_the_provider_s_fault(
    engine: Engine, aws: AwsServices, wrong: dict[str, Any]
) -> None:
    connect(engine)
    aws.keys_answer = wrong
    ran = call(engine, "aws", "aws-iam-identity-center/work", *READ)
    assert (ran.code, ran.out) == (9, "")


def test_wire_writes_the_choice_and_refuses_what_is_no_name(engine: Engine) -> None:
    connect(engine)
    wire = ("wire", "aws", "aws-iam-identity-center/work", "--profile", "ro", "--account-id", "111122223333")
    shown = run([*wire, "--role", "ReadOnly"], opens(engine))
    line = "credential aws aws-iam-identity-center/work --account-id 111122223333 --role ReadOnly"
    assert line in " ".join(shown.err.split())
    refused = run([*wire, "--role", "a; rm -rf"], opens(engine))
    assert (refused.code, refused.out) == (2, "")
    assert "is not a value of --role" in refused.err
