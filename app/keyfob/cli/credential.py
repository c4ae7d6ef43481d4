"""`keyfob credential`: prints credentials for tools that get them from a command, in each tool's format.

Only the tool's own document is printed. If the command fails, stdout stays empty.
"""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict

import click

from keyfob.cli import aws_keys, host_lookup, words
from keyfob.cli.options import account_argument, json_option, pass_session
from keyfob.cli.session import Session
from keyfob.cli.token_source import header, hosts_of, id_token, lease
from keyfob.core.errors import NotFound, SettingWrong, Usage
from keyfob.core.gateway_address import TOOL_USER
from keyfob.core.text import plain
from keyfob.core.times import to_rfc3339
from keyfob.tools import hosts
from keyfob.tools.tool_keys import tool_key

EXEC_API = "client.authentication.k8s.io"
MOST_STATUS = 1024  # characters of a response's first line
EXEC_VERSIONS = ("v1", "v1beta1", "v1alpha1")


@click.group(short_help="Print credentials in the format of kubectl, AWS tools or MCP clients.")
def credential() -> None:
    """Print an account's credentials in the format that a tool expects from a command.

    `keyfob wire` configures the tool to run this command.

    \b
    Examples:
      keyfob credential kubectl cluster
      keyfob credential aws minio
      keyfob credential headers github
    """


@credential.command(short_help="A Kubernetes ExecCredential.")
@account_argument
@click.option(
    "--id-token",
    "wants_id_token",
    is_flag=True,
    help="Use the ID token, for a cluster that signs users in by OpenID Connect.",
)
@json_option
@pass_session
def kubectl(session: Session, account: str, wants_id_token: bool) -> None:
    """Print an ExecCredential for kubectl and similar tools: the token of ACCOUNT and when it expires.

    kubectl sets KUBERNETES_EXEC_INFO, which selects the version of the output.

    \b
    Example, in a kubeconfig's user:
      exec: {apiVersion: client.authentication.k8s.io/v1, command: keyfob,
             args: [credential, kubectl, cluster], interactiveMode: Never}
    """
    api_version = exec_api_version(os.environ.get("KUBERNETES_EXEC_INFO"))
    if wants_id_token:
        answer = id_token(session, account)
        token, expires = answer["token"], answer["expires_at"]
    else:
        found = lease(session, account)
        token, expires = found.token.reveal(), to_rfc3339(found.expires_at)
    status: dict[str, str] = {"token": token}
    if expires is not None:
        status["expirationTimestamp"] = expires
    session.exactly(json.dumps({"apiVersion": api_version, "kind": "ExecCredential", "status": status}))


def exec_api_version(info: str | None) -> str:
    """The version that the asking program wants its ExecCredential in. Raises Usage."""
    if not info:
        return f"{EXEC_API}/v1"
    try:
        wanted = json.loads(info)["apiVersion"]
        if not isinstance(wanted, str):
            raise TypeError("no text")
        group, _, version = wanted.partition("/")
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Usage(
            "KUBERNETES_EXEC_INFO is not an ExecCredential",
            remedy="kubectl sets this variable. Do not set it yourself.",
        ) from None
    if group != EXEC_API or version not in EXEC_VERSIONS:
        known = ", ".join(f"{EXEC_API}/{name}" for name in EXEC_VERSIONS)
        raise Usage(
            f"{plain(wanted, 80)} is not a version that Keyfob supports",
            remedy=f"Set the kubeconfig's apiVersion to one of {known}.",
        )
    return wanted


@credential.command(short_help="Keys for AWS tools (credential_process).")
@account_argument
@click.option("--account-id", metavar="N", help="The AWS account of the role, of 12 digits.")
@click.option("--role", metavar="NAME", help="The role (permission set) to take.")
@json_option
@pass_session
def aws(session: Session, account: str, account_id: str | None, role: str | None) -> None:
    """Print ACCOUNT's keys in the format of AWS's `credential_process`.

    For an account of AWS IAM Identity Center these are short-lived keys for a role. --account-id and --role
    choose it; `keyfob credential aws-roles` lists your roles. If you have only one, you need not choose.

    The key of any other account must be an AWS key pair: the JSON that `aws sts` prints, its `Credentials`
    object, or ACCESSKEYID:SECRETKEY on one line.

    \b
    Example, in ~/.aws/config:
      [profile minio]
      credential_process = keyfob credential aws minio
      [profile work]
      credential_process = keyfob credential aws work --account-id 123456789012 --role ReadOnly
    """
    keys = aws_keys.keys_of(session, account, aws_keys.Role(account_id, role))
    session.exactly(json.dumps({"Version": 1, **keys}))


@credential.command("gateway", short_help="A tool's key for the gateway.")
@click.argument("tool")
@click.argument("action", required=False)
@json_option
@pass_session
def gateway(session: Session, tool: str, action: str | None) -> None:
    """Print the key that `keyfob wire TOOL --through-gateway` made. ACTION is how: get for git, headers for
    MCP clients.

    \b
    Example:
      keyfob credential gateway codex
    """
    if action not in (None, "get", "headers"):
        return  # git's store and erase: the key is Keyfob's to keep and to end
    found = tool_key(tool)
    if found is None:
        raise NotFound(
            f"{plain(tool, 80)} does not use the gateway",
            code="caller_not_found",
            remedy=f"Run: keyfob wire {plain(tool, 80)} --through-gateway",
        )
    if action == "get":
        session.exactly(f"username={TOOL_USER}\npassword={found.key.reveal()}")
    elif action == "headers":
        session.exactly(json.dumps({"Authorization": f"Bearer {found.key.reveal()}"}))
    else:
        session.exactly(found.key.reveal())


@credential.command("aws-roles", short_help="The roles of an AWS IAM Identity Center account.")
@account_argument
@json_option
@pass_session
def aws_roles(session: Session, account: str) -> None:
    """List the roles that ACCOUNT of AWS IAM Identity Center can take, for `keyfob credential aws`.

    \b
    Example:
      keyfob credential aws-roles work
    """
    record = aws_keys.portal_account(session, account)
    if record is None:
        raise Usage(
            f"{plain(account)} is not an account of AWS IAM Identity Center",
            remedy="Connect one with `keyfob connect aws-iam-identity-center`.",
        )
    found = session.finish(lambda: session.engine.aws_roles.roles(record, aws_keys.leasing(session, account)))
    if session.json:
        session.document({"roles": [asdict(each) for each in found]})
        return
    if not found:
        session.say("You have no role in any AWS account.")
        return
    rows = [(each.account_id, each.account_name, each.role) for each in found]
    for line in words.table(rows, ("ACCOUNT ID", "ACCOUNT", "ROLE")):
        session.say(line)


@credential.command(short_help="A token for Cargo (cargo:token-from-stdout).")
@account_argument
@click.option("--scheme", metavar="WORD", help="Print this word before the token, such as Bearer.")
@json_option
@pass_session
def cargo(session: Session, account: str, scheme: str | None) -> None:
    """Print ACCOUNT's token as Cargo sends it to a registry.

    Cargo says in CARGO_REGISTRY_INDEX_URL which registry asks. Any other host than those of the account gets
    nothing.

    \b
    Example, in ~/.cargo/config.toml:
      [registries.work]
      index = "sparse+https://crates.example.com/index/"
      credential-provider = ["cargo:token-from-stdout", "keyfob", "credential", "cargo", "work"]
    """
    index = os.environ.get("CARGO_REGISTRY_INDEX_URL", "")
    if index:
        _check_host(session, account, index.removeprefix("sparse+"))
    found = lease(session, account)
    session.exactly(f"{scheme} {found.token.reveal()}" if scheme else found.token.reveal())


@credential.command(short_help="Headers for the go command (GOAUTH).")
@account_argument
@click.argument("address", required=False)
@json_option
@pass_session
def go(session: Session, account: str, address: str | None) -> None:
    """Print ACCOUNT's headers for its https hosts, in the format of Go's `GOAUTH`.

    Go runs this once without ADDRESS. After an error it runs it again, with the address, and with the
    response on stdin: a token that was refused (401) is replaced.

    \b
    Example:
      go env -w 'GOAUTH=netrc; keyfob credential go work'
    """
    if address is not None:
        _check_host(session, account, address)
        if sys.stdin.readline(MOST_STATUS).split()[1:2] == ["401"]:
            lease(session, account, rejected=lease(session, account).token)
    name, value = header(session, account)
    places = "".join(f"https://{host}/\n" for host in hosts_of(session, account))
    session.exactly(f"{places}\n{name}: {value.reveal()}\n")


@credential.command(short_help="Tokens for Terraform and OpenTofu (credentials helper).")
@click.argument("action", type=click.Choice(["get", "store", "forget"]))
@click.argument("host")
@json_option
@pass_session
def terraform(session: Session, action: str, host: str) -> None:
    """Answer Terraform's credentials helper protocol: print {"token": "…"} for HOST, or {} if it is a host of
    no account.

    store and forget, which `terraform login` and `logout` use, are refused.

    \b
    Example:
      keyfob credential terraform get app.terraform.io
    """
    if action != "get":
        raise Usage(
            f"Keyfob does not {action} tokens for terraform login and logout",
            remedy="Connect and disconnect the account with Keyfob.",
        )
    found = host_lookup.choose(host.lower(), "terraform")
    session.exactly(
        json.dumps({} if found is None else {"token": lease(session, found["id"]).token.reveal()})
    )


def _check_host(session: Session, account: str, address: str) -> None:
    scheme, host, _ = hosts.split(address)
    if hosts.is_safe(scheme, host) and host in hosts_of(session, account):
        return
    raise SettingWrong(
        f"{plain(host or address, 80)} is not a host of {plain(account)}", code="host_not_allowed"
    )


@credential.command(short_help="HTTP headers as JSON, for MCP clients.")
@account_argument
@json_option
@pass_session
def headers(session: Session, account: str) -> None:
    """Print the HTTP headers with ACCOUNT's token as one JSON object: {"Authorization": "Bearer …"}.

    For programs that get headers from a command, such as MCP clients with a `headersHelper`.

    \b
    Example, in .mcp.json:
      "github": {"type": "http", "url": "https://api.githubcopilot.com/mcp/",
                 "headersHelper": "keyfob credential headers github"}
    """
    name, value = header(session, account)
    session.exactly(json.dumps({name: value.reveal()}))
