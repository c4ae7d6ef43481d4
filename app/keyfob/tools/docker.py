"""Docker: `credHelpers` in its config.json, so that registries of connected accounts ask Keyfob."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keyfob.core.errors import SettingWrong
from keyfob.process.own_process import find_program
from keyfob.tools import edits
from keyfob.tools.setup import HOST, Setup, SetupPlan, SetupRequest, hosts_of, json_edit, refuse_other
from keyfob.tools.tool import Tool


def wired_hosts(environment: Mapping[str, str], home: Path) -> set[str]:
    """The registries that Docker asks Keyfob about. None if its configuration cannot be read."""
    try:
        body = json.loads(_config(environment, home).read_bytes())
        helpers = body.get("credHelpers", {}).items()
    except (OSError, ValueError, AttributeError):
        return set()
    return {str(host) for host, helper in helpers if helper == "keyfob"}


def _config(environment: Mapping[str, str], home: Path) -> Path:
    return Path(environment.get("DOCKER_CONFIG") or home / ".docker") / "config.json"


def plan(request: SetupRequest) -> SetupPlan:
    """`credHelpers` in Docker's config.json."""
    if find_program("docker-credential-keyfob", request.environment.get("PATH")) is None:
        raise SettingWrong(
            "docker-credential-keyfob is not on the PATH, so Docker cannot find it",
            remedy="Add the folder of the keyfob command to PATH.",
        )
    path = _config(request.environment, request.home)
    registries = [host for host, _ in hosts_of(request, "docker")]

    def change(body: dict[str, Any]) -> None:
        helpers = body.setdefault("credHelpers", {})
        for host in registries:
            refuse_other(path, f"credHelpers of {host}", helpers.get(host), "keyfob")
            helpers[host] = "keyfob"

    return SetupPlan([json_edit(request, path, change)])


def undo(text: str, _: Mapping[str, str]) -> str:
    """Without the registries that ask Keyfob."""

    def change(body: dict[str, Any]) -> None:
        helpers = {k: v for k, v in body.get("credHelpers", {}).items() if v != "keyfob"}
        body["credHelpers"] = helpers
        if not helpers:
            del body["credHelpers"]

    return edits.with_json(text, change, "config.json")


TOOL = Tool(
    "docker",
    Setup(
        "pull from and push to registries",
        plan,
        undo,
        options=(HOST,),
        programs=("docker", "podman", "skopeo"),
        helper="docker-credential-keyfob",
    ),
)
