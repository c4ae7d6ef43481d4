"""HTTPie: shows what to type, because HTTPie cannot be configured to ask a program."""

from __future__ import annotations

from keyfob.tools.setup import SHOWN, Setup, SetupPlan, SetupRequest
from keyfob.tools.tool import Tool


def plan(request: SetupRequest) -> SetupPlan:
    """HTTPie cannot ask a program: what to type."""
    ref = request.accounts[0].id if request.accounts else "ACCOUNT"
    return SetupPlan(
        notes=[
            "HTTPie cannot be configured to ask a program. To keep the token out of the command line, type:",
            f"  http https://… Authorization:@<(printf 'Bearer %s' \"$(keyfob token {ref})\")",
        ]
    )


TOOL = Tool("httpie", Setup(SHOWN, plan, programs=("http",)))
