"""How Keyfob's helper programs for git, Docker and pip fail: one line on stderr and an exit from the table,
whatever happened. Imports little, because these programs run at every fetch.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress

INTERRUPTED = 5  # the exit of a Transient


def finished(work: Callable[[], int]) -> int:
    """The exit code of `work`, or of how it failed. What it printed is written by then."""
    try:
        code = work()
        sys.stdout.flush()
    except BrokenPipeError:
        code = 0  # the reader has gone, and it is none of our business why
    except KeyboardInterrupt:
        code = INTERRUPTED
    except Exception as error:
        from keyfob.cli import failure

        unwritten = failure.of_output(error) if isinstance(error, OSError) else None
        code = failure.report(unwritten or failure.of_bug(error), as_json=False)
    settle_streams()
    return code


def settle_streams() -> None:
    """What could not be written is dropped: the interpreter would report it again at its end, with an exit of
    its own.
    """
    for number, stream in ((1, sys.stdout), (2, sys.stderr)):
        try:
            stream.flush()
        except (OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), number)


def say(words: str) -> None:
    """A line on stderr, where these programs' users look. A stderr that takes nothing changes no answer."""
    from keyfob.core.text import plain

    with suppress(OSError):
        print(f"keyfob: {plain(words, 1000)}.", file=sys.stderr)


def usage(line: str) -> int:
    """Says how the program is used; the exit code for that."""
    with suppress(OSError):
        print(line, file=sys.stderr)
    return 2
