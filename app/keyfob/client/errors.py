"""The error that the agent or the command answered with, as the exception that the engine raised."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any


def error_of(problem: Mapping[str, Any]) -> Exception:
    """The KeyfobError for `problem`: its `exit` decides the kind; an unknown `code` becomes the kind's
    default.
    """
    from keyfob.core import errors
    from keyfob.core.error_codes import code_or_none

    kinds = {
        kind.exit_code: kind
        for kind in (
            errors.Fault,
            errors.Usage,
            errors.SignInNeeded,
            errors.KeychainError,
            errors.Transient,
            errors.SignInEnded,
            errors.NotFound,
            errors.SettingWrong,
            errors.PeerFault,
        )
    }
    kind = kinds.get(int(problem.get("exit", 1)), errors.Fault)
    message = str(problem.get("message") or problem.get("title") or "Keyfob failed")
    code = code_or_none(problem.get("code")) or kind.default_code
    detail = str(problem.get("reason") or "")
    return kind(message, code=code, remedy=problem.get("remedy"), detail=detail)
