"""kubectl: a user in the kubeconfig whose token comes from Keyfob, and the context that uses it."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

from keyfob.core.errors import SettingWrong
from keyfob.process.own_process import find_program
from keyfob.tools import kubeconfig
from keyfob.tools.commands import command_of
from keyfob.tools.edits import Change
from keyfob.tools.setup import Option, Setup, SetupPlan, SetupRequest, one_account
from keyfob.tools.tool import Tool

API_VERSION = "client.authentication.k8s.io/v1"
OLD_API_VERSION = "client.authentication.k8s.io/v1beta1"  # all that kubectl before 1.22 knows


def plan(request: SetupRequest) -> SetupPlan:
    """A user of the kubeconfig, and the context that is to use it."""
    account = one_account(request, "kubectl")
    path = Path(
        (request.environment.get("KUBECONFIG") or "").split(os.pathsep)[0]
        or request.home / ".kube" / "config"
    )
    user = request.options.get("user") or f"keyfob-{account.provider}-{account.label}"
    before = request.read(path)
    command = [command_of("keyfob"), "credential", "kubectl", account.id]
    if request.options.get("id_token"):
        if account.scopes and "openid" not in account.scopes:
            raise SettingWrong(
                f"{account.id} has no ID token, because it was not asked for the scope openid",
                code="id_token_missing",
                facts={"account": account.id},
            )
        command.append("--id-token")
    version = OLD_API_VERSION if _is_old(request) else API_VERSION
    after = kubeconfig.with_user(before or "", user, command, version)
    if (
        before is not None
        and kubeconfig.has_user(before, user)
        and after != before
        and "- kubectl" not in before
    ):
        raise SettingWrong(f"{path} already has a user {user}", remedy="Choose another name with --user.")
    context = request.options.get("context")
    if context:
        after = kubeconfig.with_context(after, context, user)
    notes = [] if context else [f"Use it in a context: kubectl config set-context CONTEXT --user={user}"]
    return SetupPlan([Change(path, before, after)], notes, remembered={"user": user})


def _is_old(request: SetupRequest) -> bool:
    """Whether the kubectl that is there does not know version 1 of the answer (before 1.22)."""
    program = find_program("kubectl", request.environment.get("PATH"))
    if program is None:
        return False
    shown = request.output_of([program, "version", "--client", "-o", "json"], request.environment)
    try:
        minor = str(json.loads(shown)["clientVersion"]["minor"])
        return int("".join(char for char in minor if char.isdecimal())) < 22
    except (ValueError, KeyError, TypeError):
        return False


def undo(text: str, remembered: Mapping[str, str]) -> str:
    """The kubeconfig without the user that `wire` added."""
    return kubeconfig.without_user(text, remembered["user"])


TOOL = Tool(
    "kubectl",
    Setup(
        "a user in the kubeconfig",
        plan,
        undo,
        options=(
            Option("user", "NAME", "the name of the user in the kubeconfig."),
            Option("context", "NAME", "let this context use it."),
            Option(
                "id_token", None, "use the ID token, for a cluster that signs users in by OpenID Connect."
            ),
        ),
    ),
)
