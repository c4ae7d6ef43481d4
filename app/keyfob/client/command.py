"""Without an agent, the `keyfob` command does the work in a separate process, so that the engine and its
keychain stay out of this one.
"""

from __future__ import annotations

import os

from keyfob.client.connection import TIMEOUT, is_agent_silent
from keyfob.client.errors import error_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any


def run_command(arguments: Sequence[str], stdin: str | None = None) -> dict[str, Any]:
    """The JSON that `keyfob` with these arguments prints; `stdin` is its input. Raises `keyfob.KeyfobError`.
    Blocks.
    """
    import subprocess

    from keyfob.core.errors import Fault
    from keyfob.process.own_process import FD_VARIABLE, own_command

    # The descriptor stays here, and its number may be another file's there.
    environ = {name: value for name, value in os.environ.items() if name != FD_VARIABLE}
    if is_agent_silent():
        environ["KEYFOB_SOCK"] = os.devnull  # the command does not wait for that agent again
    try:
        done = subprocess.run(  # noqa: S603  (our own program; the token goes by stdin and stdout only)
            [*own_command(), *arguments, "--json"],
            input=stdin if stdin is not None else "",
            capture_output=True,
            text=True,
            errors="replace",
            timeout=TIMEOUT * 2,
            env=environ,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise Fault("The keyfob command did not finish in time") from None
    except OSError as error:
        raise Fault(f"Keyfob could not start the keyfob command: {error.strerror}") from None
    if done.returncode == 0:
        answer = _object(done.stdout)
        if answer is None:
            raise Fault("The keyfob command printed nothing")
        return answer
    # The object is one line at the end; what comes before it is progress and advice.
    document = next((found for line in reversed(done.stderr.splitlines()) if (found := _object(line))), None)
    raise error_of({"exit": done.returncode, **(document or {"message": "The keyfob command failed"})})


def _object(text: str) -> dict[str, Any] | None:
    """The JSON object in `text`, None if it is none."""
    import json

    try:
        found = json.loads(text)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
