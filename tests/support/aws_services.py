"""AWS's services that an account of IAM Identity Center meets, as AWS's API models describe them: SSO OIDC,
the access portal, and GetCallerIdentity of STS.

With a `Model` each request and answer is compared with AWS's own description: names, required members, types.
"""

from __future__ import annotations

import gzip
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

from support import python_tools

START_URL = "https://my-company.awsapps.com/start"
DEVICE_PAGE = "https://device.sso.eu-west-1.amazonaws.com/"
ROLES = (
    ("111122223333", "Sandbox", "ReadOnly"),
    ("111122223333", "Sandbox", "Admin"),
    ("444455556666", "Live", "ReadOnly"),
)
TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "long": (int,),
    "timestamp": (int, str),
    "structure": (dict,),
    "list": (list,),
}


class Model:
    """AWS's description of both services, from the botocore beside the AWS CLI."""

    def __init__(self) -> None:
        self._found: dict[str, dict[str, Any]] = {}
        for service in ("sso-oidc", "sso"):
            place = f"botocore/data/{service}/2019-06-10/service-2.json*"
            packages = next(python_tools.aws().parent.glob("lib/python*/site-packages"))
            # Newer versions of the AWS CLI contain their botocore.
            (path,) = [*packages.glob(place), *packages.glob(f"awscli/{place}")]
            data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
            model = json.loads(data)
            for operation in model["operations"].values():
                http = operation["http"]
                self._found[f"{http['method']} {http['requestUri']}"] = {
                    **operation,
                    "shapes": model["shapes"],
                }

    def check(self, asked: Asked, status: int, answer: Any) -> None:
        """Raises AssertionError if the request or its answer is not as the model has it."""
        operation = self._found[f"{asked.method} {asked.path}"]
        shapes = operation["shapes"]
        wanted = shapes[operation["input"]["shape"]]
        sent: dict[str, Any] = dict(asked.members)
        for name, member in wanted["members"].items():
            place = member.get("location")
            called = member.get("locationName", name)
            if place == "querystring" and called in asked.query:
                value = asked.query[called]
                sent[name] = int(value) if shapes[member["shape"]]["type"] == "integer" else value
            if place == "header" and called in asked.headers:
                sent[name] = asked.headers[called]
        _fits(shapes, operation["input"]["shape"], sent, asked.path)
        if status == 200:
            if "output" in operation:
                _fits(shapes, operation["output"]["shape"], answer, asked.path)
            return
        errors = [shapes[each["shape"]] for each in operation["errors"]]
        fits = [each for each in errors if each["error"]["httpStatusCode"] == status]
        assert fits, f"{asked.path} does not answer {status}"
        assert any(set(answer) <= set(each["members"]) for each in fits), f"{asked.path}: {answer}"


def _fits(shapes: Mapping[str, Any], name: str, value: Any, where: str) -> None:
    shape = shapes[name]
    kind = shape["type"]
    assert isinstance(value, TYPES[kind]), f"{where}: {name} is {type(value).__name__}"
    if kind == "structure":
        unknown = set(value) - set(shape["members"])
        assert not unknown, f"{where}: {name} has no {unknown}"
        missing = set(shape.get("required", ())) - set(value)
        assert not missing, f"{where}: {name} lacks {missing}"
        for member, inner in value.items():
            _fits(shapes, shape["members"][member]["shape"], inner, f"{where}.{member}")
    elif kind == "list":
        for inner in value:
            _fits(shapes, shape["member"]["shape"], inner, where)


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]  # names in lower case
    members: Mapping[str, Any]  # of a JSON body


@dataclass
class AwsServices:
    """Answers requests. `now` is asked for each time. `seen`: what was asked, in order."""

    now: Callable[[], datetime]
    model: Model | None = None
    life: timedelta = timedelta(hours=1)  # of the keys for a role
    roles: tuple[tuple[str, str, str], ...] = ROLES
    seen: list[str] = field(default_factory=list)
    identities: list[str] = field(default_factory=list)  # the keys that STS was asked with
    faults: list[str] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)  # tokens
    secrets: list[str] = field(default_factory=list)
    ended: bool = False
    keys_answer: dict[str, Any] | None = None  # in place of keys for a role
    page: int = 2  # entries in each answer of a list
    _count: Iterator[int] = field(default_factory=itertools.count)

    def answer(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> tuple[int, Any]:
        """The status and the answer, an object or XML."""
        parts = urlsplit(url)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        names = {name.lower(): value for name, value in headers.items()}
        if parts.path.rstrip("/") == "/sts":
            return 200, self._identity(names)
        asked = Asked(method, parts.path, query, names, json.loads(body) if body else {})
        self.seen.append(asked.path)
        status, answer = self._answered(asked)
        if self.model is not None:
            try:
                self.model.check(asked, status, answer)
            except AssertionError as error:
                self.faults.append(str(error))
        return status, answer

    def _answered(self, asked: Asked) -> tuple[int, Any]:
        match asked.path:
            case "/client/register":
                ends = int((self.now() + timedelta(days=90)).timestamp())
                return 200, {
                    "clientId": "made-up-client",
                    "clientSecret": self._secret("client"),
                    "clientIdIssuedAt": int(self.now().timestamp()),
                    "clientSecretExpiresAt": ends,
                }
            case "/device_authorization":
                return 200, {
                    "deviceCode": self._secret("device"),
                    "userCode": "ABCD-EFGH",
                    "verificationUri": DEVICE_PAGE,
                    "verificationUriComplete": f"{DEVICE_PAGE}?user_code=ABCD-EFGH",
                    "expiresIn": 600,
                    "interval": 1,
                }
            case "/token":
                return self._token(asked)
            case "/logout":
                self.ended = True
                return 200, {}
        token = asked.headers.get("x-amz-sso_bearer_token")
        if token is None or token in self.refused:
            return 401, {"message": "Session token not found or invalid"}
        return self._portal(asked)

    def _token(self, asked: Asked) -> tuple[int, Any]:
        pending = asked.members["grantType"].endswith("device_code") and self.seen.count("/token") == 1
        if pending:
            return 400, {"error": "authorization_pending", "error_description": "Not yet"}
        if self.ended:
            return 400, {"error": "invalid_grant", "error_description": "Invalid refresh token provided"}
        return 200, {
            "accessToken": self._secret("access"),
            "tokenType": "Bearer",
            "expiresIn": 28800,
            "refreshToken": self._secret("refresh"),
        }

    def _portal(self, asked: Asked) -> tuple[int, Any]:
        if asked.path == "/assignment/accounts":
            found = list(dict.fromkeys((number, name) for number, name, _ in self.roles))
            entries = [
                {"accountId": number, "accountName": name, "emailAddress": "aws@example.org"}
                for number, name in found
            ]
            return 200, self._paged("accountList", entries, asked)
        if asked.path == "/assignment/roles":
            number = asked.query["account_id"]
            entries = [{"roleName": role, "accountId": at} for at, _, role in self.roles if at == number]
            return 200, self._paged("roleList", entries, asked)
        wanted = (asked.query["account_id"], asked.query["role_name"])
        if wanted not in [(number, role) for number, _, role in self.roles]:
            return 404, {"message": "No access"}
        if self.keys_answer is not None:
            return 200, {"roleCredentials": self.keys_answer}
        keys = {
            "accessKeyId": f"ASIA{next(self._count):016}",
            "secretAccessKey": self._secret("role"),
            "sessionToken": self._secret("session"),
            "expiration": int((self.now() + self.life).timestamp() * 1000),
        }
        return 200, {"roleCredentials": keys}

    def _paged(self, name: str, entries: list[dict[str, str]], asked: Asked) -> dict[str, Any]:
        start = int(asked.query.get("next_token", "0"))
        answer: dict[str, Any] = {name: entries[start : start + self.page]}
        if start + self.page < len(entries):
            answer["nextToken"] = str(start + self.page)
        return answer

    def _identity(self, headers: Mapping[str, str]) -> str:
        key = headers["authorization"].partition("Credential=")[2].partition("/")[0]
        self.identities.append(f"{key} {headers.get('x-amz-security-token', '')}")
        return (
            '<GetCallerIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">'
            "<GetCallerIdentityResult>"
            "<Arn>arn:aws:sts::111122223333:assumed-role/ReadOnly/alice</Arn><UserId>AROA:alice</UserId>"
            "<Account>111122223333</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
        )

    def _secret(self, what: str) -> str:
        made = f"made-up-{what}-{next(self._count)}-0123456789abcdef"
        self.secrets.append(made)
        return made


def preset(base: str) -> str:
    """A preset for these services at `base` on loopback."""
    return f"""\
extends = "aws-iam-identity-center"
id = "aws"
title = "AWS on loopback"

[[inputs]]
name = "start_url"
title = "Start URL"
kind = "url"

[endpoints]
authorization_endpoint = "{base}/authorize"
token_endpoint = "{base}/token"
device_authorization_endpoint = "{base}/device_authorization"
registration_endpoint = "{base}/client/register"

[api]
base = "{base}"

[test]
url = "{base}/assignment/accounts?max_result=1"

[revocation]
url = "{base}/logout"
"""
