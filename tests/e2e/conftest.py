"""What several files of end-to-end tests start. A file may have its own by the same name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from support.misbehaving import Misbehaving
from support.session import DesktopSession
from support.whole_engine import Whole
from support.workshop import Bench, bench_at


@pytest.fixture(scope="module")
def session() -> Iterator[DesktopSession]:
    """A desktop session with an unlocked keychain and no screen."""
    with DesktopSession() as made:
        yield made


@pytest.fixture
def bench(session: DesktopSession, tmp_path: Path) -> Iterator[Bench]:
    """A home with the commands on its PATH, the demo provider, and a server for tools."""
    with bench_at(tmp_path, session.env) as made:
        yield made


@pytest.fixture
def provider() -> Iterator[Misbehaving]:
    """A provider that does whatever the test asks of it."""
    with Misbehaving() as made:
        yield made


@pytest.fixture
def whole(tmp_path: Path, provider: Misbehaving) -> Iterator[Whole]:
    """The engine on a home of its own, and `provider`."""
    made = Whole(tmp_path, provider)
    yield made
    made.engine.close()
