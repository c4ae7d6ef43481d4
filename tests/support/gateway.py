"""`keyfob serve` of a bench, on a free port."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from support.workshop import Bench


@contextmanager
def gateway_of(bench: Bench, *words: str, **env: str) -> Iterator[str]:
    """Its address."""
    process = bench.processes.start(["keyfob", "serve", "--port", "0", *words], bench.env | env)
    assert process.stdout is not None
    line = process.stdout.readline()
    found = re.fullmatch(r"Listening on (http://127\.0\.0\.1:\d+)\n", line)
    assert found, line
    try:
        yield found[1]
    finally:
        process.terminate()
        process.wait(60)
