"""curl: shows what to type, because curl cannot be configured to ask a program."""

from __future__ import annotations

from keyfob.tools.setup import SHOWN, Setup, SetupPlan, SetupRequest
from keyfob.tools.tool import Tool


def plan(request: SetupRequest) -> SetupPlan:
    """What to type: curl cannot ask a program."""
    ref = request.accounts[0].id if request.accounts else "ACCOUNT"
    return SetupPlan(
        notes=[
            "curl cannot be configured to ask a program. To keep the token out of the command line, type:",
            f"  curl -H @<(keyfob token {ref} --header) https://…",
            "Or ask the agent:",
            f'  curl --unix-socket "$(keyfob agent --print-socket)" http://keyfob/v1/token/{ref}',
            f"Or let Keyfob make the request: keyfob request {ref} GET /path",
        ]
    )


TOOL = Tool("curl", Setup(SHOWN, plan))
