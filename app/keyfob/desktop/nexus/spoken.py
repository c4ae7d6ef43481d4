"""What a screen reader hears of downloads: the start, half, the end, and what stopped them. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from keyfob.nexus.models import DownloadItem

HALF = 0.5


class Spoken:
    """Remembers what was said of each file."""

    def __init__(self) -> None:
        self._said: dict[str, str] | None = None  # by the file's id: begun, half, done or stopped

    def news(self, items: Sequence[DownloadItem]) -> list[str]:
        """Sentences for what has changed since the last call. The first call says nothing: those files were
        there before.
        """
        stages = {item.id: stage for item in items if (stage := _stage(item))}
        before, self._said = self._said, stages
        if before is None:
            return []
        return [
            _sentence(item, stages[item.id])
            for item in items
            if item.id in stages and stages[item.id] != before.get(item.id)
        ]


def _stage(item: DownloadItem) -> str:
    match item.state:
        case "running" | "checking":
            return "half" if item.total and item.received >= item.total * HALF else "begun"
        case "done":
            return "done"
        case "stopped":
            return "stopped"
    return ""


def _sentence(item: DownloadItem, stage: str) -> str:
    name = f"{item.mod.name} {item.version}".strip()
    match stage:
        case "half":
            return f"{name}: half is downloaded"
        case "done":
            return f"{name} is downloaded"
        case "stopped":
            return f"{name} stopped. {item.problem or ''}".strip()
    return f"Downloading {name}"
