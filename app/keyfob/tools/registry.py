"""The programs that Keyfob can set up or import from. A new one is a file in this folder and a line here."""

from __future__ import annotations

from collections.abc import Mapping

from keyfob.tools import (
    aws,
    cargo,
    claude,
    codex,
    curl,
    docker,
    emailproxy,
    environment,
    gh,
    git,
    go,
    httpie,
    keyfob_export,
    kubectl,
    mcp,
    netrc,
    nexus,
    npm,
    pip,
    sdk,
    terraform,
)
from keyfob.tools.entries import Format
from keyfob.tools.setup import Setup
from keyfob.tools.text_places import json_object
from keyfob.tools.tool import Tool

# In this order `wire` and `import` list them, and a file is tried as each one's.
TOOLS: tuple[Tool, ...] = (
    git.TOOL,
    docker.TOOL,
    kubectl.TOOL,
    aws.TOOL,
    pip.TOOL,
    npm.TOOL,
    cargo.TOOL,
    go.TOOL,
    terraform.TOOL,
    curl.TOOL,
    httpie.TOOL,
    gh.TOOL,
    codex.TOOL,
    claude.TOOL,
    mcp.TOOL,
    sdk.OPENAI,
    sdk.ANTHROPIC,
    sdk.ENVIRONMENT,
    netrc.TOOL,
    emailproxy.TOOL,
    keyfob_export.TOOL,
    nexus.TOOL,  # takes any JSON, so it comes after the others that do
)
SETUPS: dict[str, Setup] = {tool.name: tool.setup for tool in TOOLS if tool.setup is not None}
FORMATS: tuple[Format, ...] = tuple(each for tool in TOOLS for each in tool.formats)
SOURCES = tuple(each.source for each in FORMATS if each.places)  # looked for in their usual places


def format_of(name: str, text: str, variables: Mapping[str, str], source: str | None = None) -> Format | None:
    """The format `source`, or the one a file has by its name and else by its content; None if it has none of
    them. `variables`: name of an environment variable → the provider whose key it holds.
    """
    formats = (*FORMATS, environment.format_of(variables))
    if source is not None:
        return next((each for each in formats if each.source == source), None)
    named = next((each for each in formats if each.named(name.lower(), text)), None)
    if named is not None:
        return named
    body = json_object(text) if text.lstrip().startswith("{") else None
    return next((each for each in formats if each.recognized(text, body)), None)
