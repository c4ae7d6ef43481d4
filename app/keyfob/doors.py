"""What the command line is given: bootstrap's engine, the demo provider and its visitor. Belongs with bootstrap.

Everything is imported when a door is used, so that a verb pays for what it opens and no more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from keyfob.cli.engine import Doors

if TYPE_CHECKING:
    from keyfob.bootstrap import Engine
    from keyfob.demo.server import DemoServer


def doors(window: Callable[[Sequence[str]], int]) -> Doors:
    """The real ones. `window` opens the desktop app with these arguments and returns its exit code."""
    return Doors(engine=engine, demo=demo, visit=visit, window=window)


def engine(home: Path | None = None, *, in_memory: bool = False) -> Engine:
    """The engine of the person's own home, or of one folder; with a vault that forgets where `in_memory`."""
    from keyfob.adapters.home import open_home
    from keyfob.bootstrap import build
    from keyfob.core.resources import resources

    place = open_home({"KEYFOB_HOME": str(home)}) if home is not None else open_home()
    vault = None
    if in_memory:
        from keyfob.adapters.vault_memory import MemoryVault

        vault = MemoryVault()
    return build(place, vault=vault, presets=(resources() / "demo",))


def demo(state_dir: Path, *, port: int, access_lifetime: int) -> DemoServer:
    """A demo provider that serves. Raises SettingWrong."""
    from keyfob.demo.server import DemoServer

    return DemoServer(state_dir, port=port, access_lifetime=access_lifetime).start()


def visit(url: str) -> object:
    """Alice, with a browser of code."""
    from keyfob.demo.visitor import Visitor

    return Visitor().sign_in(url, "alice")
