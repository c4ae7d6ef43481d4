"""Preset files, one that the user names or all: read, and all their errors reported at once."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from keyfob.cli.failure import FaultyError
from keyfob.cli.session import Session
from keyfob.core.error_codes import ErrorCode
from keyfob.core.errors import SettingWrong, Usage
from keyfob.core.provider import Provider
from keyfob.core.text import plain

if TYPE_CHECKING:
    from keyfob.providers.schema_check import PresetFault


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
    raise faulty(file.name, faults)


def check_all(session: Session) -> int:
    """How many presets there are, Keyfob's and the user's. Raises FaultyError with every error in them."""
    faults = session.engine.providers.faults()
    if faults:
        raise faulty("The list of providers", faults)
    return len(session.engine.providers.ids())


def faulty(what: str, faults: Sequence[PresetFault], code: ErrorCode = "preset_faulty") -> FaultyError:
    """The failure that lists these errors."""
    count = "1 error" if len(faults) == 1 else f"{len(faults)} errors"
    return FaultyError(
        SettingWrong(f"{what} has {count}", code=code, remedy="Correct the errors listed above."),
        [
            plain(f"{fault.file}: {fault.key or '(file)'}: {fault.problem}; {fault.should}", 600)
            for fault in faults
        ],
        {"faults": [fault.to_json() for fault in faults]},
    )
