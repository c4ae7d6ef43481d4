"""A preset file that the user names: read, and all its errors reported at once."""

from __future__ import annotations

from pathlib import Path

from keyfob.cli.failure import FaultyError
from keyfob.cli.session import Session
from keyfob.core.errors import SettingWrong, Usage
from keyfob.core.provider import Provider
from keyfob.core.text import plain


def read_preset(session: Session, file: Path) -> Provider:
    """The preset in `file`. Raises Usage if it cannot be read, FaultyError with every error in it."""
    from keyfob.providers.catalogue import read_bounded

    try:
        data = read_bounded(file)
    except OSError as error:
        raise Usage(f"{file} cannot be read: {error.strerror}", remedy="Name a preset file.") from error
    faults = [fault.within(file.name) for fault in session.engine.providers.check(data)]
    if not faults:
        return session.engine.providers.read(data)
    count = "1 error" if len(faults) == 1 else f"{len(faults)} errors"
    raise FaultyError(
        SettingWrong(
            f"{file.name} has {count}", code="preset_faulty", remedy="Correct the errors listed above."
        ),
        [
            plain(f"{file.name}: {fault.key or '(file)'}: {fault.problem}; {fault.should}", 600)
            for fault in faults
        ],
        {"faults": [fault.to_json() for fault in faults]},
    )
