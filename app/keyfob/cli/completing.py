"""What a shell completes besides accounts and providers: commands, files, other tools' stores."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

import click
from click.shell_completion import CompletionItem

from keyfob.cli.options import complete_accounts
from keyfob.core.text import plain
from keyfob.tools.registry import SOURCES


def complete_exec(context: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Accounts; after `--` a command of the PATH, then its files."""
    before = [str(word) for word in context.params.get("words") or ()]
    if "--" not in before:
        return complete_accounts(context, param, incomplete)
    if before[-1] != "--" or "/" in incomplete:
        return [CompletionItem(incomplete, type="file")]
    return [CompletionItem(plain(name)) for name in _programs(incomplete)]


def complete_source(_: click.Context, __: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The programs whose stores `import` reads, else files."""
    programs = [name for name in SOURCES if name.startswith(incomplete)]
    return [CompletionItem(name) for name in programs] or [CompletionItem(incomplete, type="file")]


def _programs(beginning: str) -> list[str]:
    """The programs in the absolute folders of the PATH, which are those that `exec` finds."""
    found: set[str] = set()
    for folder in map(Path, os.environ.get("PATH", "").split(os.pathsep)):
        with suppress(OSError):
            files = folder.iterdir() if folder.is_absolute() else ()
            found.update(
                file.name for file in files if file.name.startswith(beginning) and os.access(file, os.X_OK)
            )
    return sorted(found)
