"""What the faces are given: bootstrap's engine, the demo provider and its visitor, the window. Belongs with bootstrap.

Everything is imported when a door is used, so that a verb pays for what it opens and no more.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from keyfob.cli.engine import Doors

if TYPE_CHECKING:
    from keyfob.bootstrap import Engine
    from keyfob.demo.server import DemoServer

DEMO_PORT = 9899  # its accounts outlive a restart, so its address stays
DEMO_LIFETIME = 60  # seconds: short enough to watch a renewal


def doors() -> Doors:
    """For `__main__`."""
    return Doors(engine=engine, demo=demo, visit=visit, window=window)


def engine(home: Path | None = None, *, in_memory: bool = False) -> Engine:
    """The engine of the person's own home, or of one folder; with a vault that forgets where `in_memory`."""
    from keyfob.adapters import log
    from keyfob.adapters.home import open_home
    from keyfob.bootstrap import build

    place = open_home({"KEYFOB_HOME": str(home)}) if home is not None else open_home()
    log.set_up(place.log)
    vault = None
    if in_memory:
        from keyfob.adapters.vault_memory import MemoryVault

        vault = MemoryVault()
    return build(place, vault=vault)


def demo(state_dir: Path, *, port: int, access_lifetime: int) -> DemoServer:
    """A demo provider that serves. Raises SettingWrong."""
    from keyfob.demo.server import DemoServer

    return DemoServer(state_dir, port=port, access_lifetime=access_lifetime).start()


def visit(url: str) -> object:
    """Alice, with a browser of code."""
    from keyfob.demo.visitor import Visitor

    return Visitor().sign_in(url, "alice")


def window(arguments: Sequence[str]) -> int:
    """The desktop app, until it is quit. `--demo` starts the demo provider with it."""
    from keyfob.adapters import log
    from keyfob.adapters.home import open_home
    from keyfob.bootstrap import build
    from keyfob.desktop.app import run

    place = open_home()
    log.set_up(place.log)
    return run(
        lambda: build(place, lasting=True),
        home=place,
        demo=lambda: demo(place.data / "demo", port=DEMO_PORT, access_lifetime=DEMO_LIFETIME),
        start_demo="--demo" in arguments,
    )
