"""An account's history as a file: CSV for spreadsheets, JSON for programs. It holds what
`keyfob events --json` shows, and no secret.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import NamedTemporaryFile

from keyfob.core.account import LoggedEvent
from keyfob.core.errors import Usage

COLUMNS = ("at", "account", "kind", "message", "code")
_FORMULA = ("=", "+", "-", "@", "\t")  # how a spreadsheet recognises a formula


def csv_text(events: Sequence[LoggedEvent]) -> str:
    """One event a line below a line of names. No cell begins as a formula: messages come from outside."""
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(COLUMNS)
    for event in events:
        row = event.to_json()
        writer.writerow([_cell(str(row[name] or "")) for name in COLUMNS])
    return out.getvalue()


def json_text(events: Sequence[LoggedEvent]) -> str:
    """The document of `keyfob events --json`."""
    rows = {"events": [event.to_json() for event in events]}
    return json.dumps(rows, indent=2, ensure_ascii=False) + "\n"


def export(path: Path, events: Sequence[LoggedEvent]) -> int:
    """Write the file whole, as JSON if its name ends in .json, else as CSV. Returns how many events it holds.
    Raises Usage if it cannot be written; a file that was there is then as it was.
    """
    text = json_text(events) if path.suffix.lower() == ".json" else csv_text(events)
    temporary = ""
    try:
        with NamedTemporaryFile(
            "w", encoding="utf-8", newline="", dir=path.parent, prefix=".keyfob-", delete=False
        ) as file:
            temporary = file.name
            file.write(text)
        Path(temporary).replace(path)
    except OSError as error:
        if temporary:
            Path(temporary).unlink(missing_ok=True)
        why = error.strerror or "the system refused"
        raise Usage(f"{path} could not be written: {why}", remedy="Choose another folder.") from None
    return len(events)


def _cell(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text
