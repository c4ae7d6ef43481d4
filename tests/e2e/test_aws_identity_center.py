"""AWS IAM Identity Center with the real AWS CLI, which runs `keyfob credential aws` for its keys.

The services are ours. Each request and answer is compared with AWS's own model, which comes with the AWS CLI.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from support import python_tools
from support.aws_services import START_URL, AwsServices, Model, preset
from support.workshop import Bench

pytestmark = [pytest.mark.network, pytest.mark.keychain]


@dataclass
class Served:
    services: AwsServices
    base: str


@pytest.fixture
def aws() -> Iterator[Served]:
    services = AwsServices(lambda: datetime.now(UTC), Model())

    class Handler(BaseHTTPRequestHandler):
        def do(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, answer = services.answer(self.command, self.path, dict(self.headers), body)
            text = answer if isinstance(answer, str) else json.dumps(answer)
            self.send_response(status)
            self.send_header("Content-Type", "text/xml" if isinstance(answer, str) else "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text.encode())

        do_GET = do_POST = do

        def log_message(self, *_: object) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield Served(services, f"http://127.0.0.1:{server.server_address[1]}")
    server.shutdown()
    thread.join()
    server.server_close()
    assert services.faults == []


def connected(bench: Bench, aws: Served) -> tuple[str, ...]:
    """An account, and the options that choose one of its roles."""
    folder = bench.keyfob_home / "config" / "providers"
    folder.mkdir(parents=True)
    (folder / "aws.toml").write_text(preset(aws.base))
    done = bench.keyfob(
        "connect", "aws", "--method", "device", "--label", "work", "--no-browser", "--input",
        f"start_url={START_URL}",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert "ABCD-EFGH" in done.err
    roles = bench.keyfob("credential", "aws-roles", "aws/work", "--json").json["roles"]
    assert len(roles) == 3
    return ("--account-id", roles[0]["account_id"], "--role", roles[0]["role"])


def test_the_aws_cli_gets_keys_for_a_role(bench: Bench, aws: Served) -> None:
    choice = connected(bench, aws)
    assert bench.keyfob("test", "aws/work").code == 0
    wired = bench.keyfob("wire", "aws", "aws/work", "--profile", "work", *choice, "--yes")
    assert wired.code == 0, wired.err

    # It needs no keyfob configuration of its own, and its requests are signed with the keys.
    cli = (str(python_tools.aws() / "aws"), "sts", "get-caller-identity", "--profile", "work")
    for _ in range(2):
        done = bench.run(
            *cli, "--region", "eu-west-1", "--endpoint-url", f"{aws.base}/sts", PYTHONPATH="", AWS_PAGER=""
        )
        assert done.code == 0, done.err
        assert json.loads(done.out)["Account"] == "111122223333"
    first, second = aws.services.identities
    assert first == second  # the keys were kept
    assert "made-up-session" in first
    assert aws.services.seen.count("/federation/credentials") == 1
    for secret in aws.services.secrets:
        assert bench.files_with(secret) == [], secret

    assert bench.keyfob("renew", "aws/work").code == 0
    assert bench.keyfob("disconnect", "aws/work").code == 0
    assert aws.services.seen[-1] == "/logout"
    ended = bench.run(*cli, "--region", "eu-west-1", "--endpoint-url", f"{aws.base}/sts", PYTHONPATH="")
    assert ended.code != 0
    assert len(aws.services.identities) == 2


def test_the_aws_cli_gets_fresh_keys_while_a_command_runs(bench: Bench, aws: Served) -> None:
    """`exec --aws`: by the endpoint that containers have at AWS, without a profile."""
    choice = connected(bench, aws)
    cli = (str(python_tools.aws() / "aws"), "sts", "get-caller-identity", "--region", "eu-west-1")
    done = bench.keyfob(
        "exec", "--aws", "aws/work", *choice, "--", *cli, "--endpoint-url", f"{aws.base}/sts",
        PYTHONPATH="", AWS_PAGER="", AWS_PROFILE="not-there", AWS_ACCESS_KEY_ID="AKIAOTHER",
        AWS_SECRET_ACCESS_KEY="other",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert json.loads(done.out)["Account"] == "111122223333"
    (identity,) = aws.services.identities
    assert "made-up-session" in identity
    assert aws.services.seen.count("/federation/credentials") == 1
    for secret in aws.services.secrets:
        assert bench.files_with(secret) == [], secret
    # Without a role that is there, nothing runs.
    wrong = bench.keyfob("exec", "--aws", "aws/work", "--role", "None", "--", "echo", "ran")
    assert (wrong.code, wrong.out) == (2, "")
    assert "You do not have such a role" in wrong.err
