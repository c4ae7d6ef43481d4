"""The doctor's check of the tools that `keyfob wire` set up."""

from __future__ import annotations

from keyfob.core.errors import KeyfobError
from keyfob.core.facts import Facts
from keyfob.core.finding import Finding
from keyfob.core.text import plain
from keyfob.tools.tool_setup import Lack, ToolSetup
from keyfob.tools.wiring import Wiring


def tools_finding(wiring: Wiring, setup: ToolSetup) -> Finding:
    """Whether each still has its settings for Keyfob, and the accounts have the access that it needs. Reads
    the tools' files and the account store. Raises SettingWrong.
    """
    states = {tool: wiring.state(tool) for tool in wiring.wired()}
    ready = [tool for tool, state in states.items() if state == "wired"]
    changed = [tool for tool, state in states.items() if state != "wired"]
    count = f"{len(ready)} of {len(states)} ready"
    if changed:
        parts = [f"{_all(ready)} ready"] if ready else []
        parts.append(f"Another program changed the settings of {_and(changed)}")
        text = ". ".join(parts)
        return Finding("tools", True, text, "warn", "setup_changed", {"name": changed[0]}, public=count)
    for tool in ready:
        missing = wiring.missing_helper(tool)
        if missing is not None:
            text = f"{tool} runs {plain(missing, 160)}, which is not there"
            return Finding("tools", True, text, "warn", "helper_missing", {"name": tool}, public=count)
    lack = _first_lack(setup, ready)
    if lack is not None:
        text = f"{plain(lack.account.id)} does not have the access that {lack.tool} needs ({lack.access})"
        facts: Facts = {"account": lack.account.id, "access": lack.access, "name": lack.tool}
        return Finding(
            "tools", True, text, "warn", "access_lacking", facts, account=lack.account.key, public=count
        )
    if not ready:
        return Finding("tools", True, "You have not set up a tool with keyfob wire", "note")
    return Finding("tools", True, f"{_all(ready)} ready", public=count)


def _first_lack(setup: ToolSetup, tools: list[str]) -> Lack | None:
    try:
        return next((lack for tool in tools for lack in setup.lacking(tool)), None)
    except KeyfobError:
        return None  # the store's own check says that the accounts cannot be read


def _all(tools: list[str]) -> str:
    return f"{_and(tools)} {'is' if len(tools) == 1 else 'are'}"


def _and(tools: list[str]) -> str:
    return tools[0] if len(tools) == 1 else f"{', '.join(tools[:-1])} and {tools[-1]}"
