"""Has the system open the `nxm://` links of Nexus Mods with Keyfob, and undoes that.

Off until the user turns it on. It never takes the links from another program without a yes, and gives them
back when it is turned off. On macOS, links belong to app bundles: a bundle's Info.plist has to name them.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from keyfob.core.errors import SettingWrong
from keyfob.nexus.desktop_links import DesktopLinks
from keyfob.nexus.link_state import LinkHandler, LinkState
from keyfob.nexus.registry_links import RegistryLinks, WindowsRegistry
from keyfob.process.own_process import login_command


def link_handler(data: Path, env: Mapping[str, str] = os.environ) -> LinkHandler:
    """This system's. `data`: where Keyfob keeps its own files."""
    if sys.platform == "win32":
        return RegistryLinks(WindowsRegistry(), data, _command())
    if sys.platform == "darwin":
        return NoLinks()
    return DesktopLinks(data, _command(), env)


def _command() -> list[str]:
    # Nobody sees the output of a program that a browser starts.
    return [*login_command(), "nexus", "open", "--notify"]


class NoLinks:
    """A system on which a command cannot register itself."""

    path = None

    def state(self) -> LinkState:
        """See LinkHandler."""
        return LinkState(on=False)

    def turn_on(self) -> None:
        """Raises SettingWrong `links_unsupported`."""
        raise SettingWrong("This system gives links to app bundles only", code="links_unsupported")

    def turn_off(self) -> None:
        """See LinkHandler."""
