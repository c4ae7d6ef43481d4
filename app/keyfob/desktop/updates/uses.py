"""Which accounts a companion tool gets its tokens of, in words."""

from __future__ import annotations

from collections.abc import Mapping

from keyfob.core.errors import KeyfobError
from keyfob.service.accounts.accounts import Accounts
from keyfob.tools.tool_setup import ToolSetup
from keyfob.tools.wiring import Wiring
from keyfob.updates.companions import Companion

MOST = 2  # accounts that are named


def uses_of(
    tools: list[Companion], accounts: Accounts, wiring: Wiring, setup: ToolSetup
) -> Mapping[str, str]:
    """By the id of each tool that `keyfob wire` has set up. Empty if that cannot be read."""
    try:
        wired = set(wiring.wired())
        labels = {view.key: view.label for view in accounts.views()}
        return {
            tool.id: _words([labels[key] for key in setup.asked(tool.wire).accounts if key in labels])
            for tool in tools
            if tool.wire is not None and tool.wire in wired
        }
    except KeyfobError:
        return {}


def _words(labels: list[str]) -> str:
    if not labels:
        return "uses your accounts in Keyfob"
    more = f" and {len(labels) - MOST} more" if len(labels) > MOST else ""
    return f"uses {', '.join(labels[:MOST])}{more}"
