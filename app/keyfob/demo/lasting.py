"""The demo provider of the window, whose accounts survive a restart: it keeps its address.

Its preset has the usual port. If another program uses that port, the demo takes any free one and keeps it: a
preset in the home's `providers` folder then names it, so that every command finds the demo's accounts there.
"""

from __future__ import annotations

import re
from pathlib import Path

from keyfob.core.errors import SettingWrong
from keyfob.core.resources import resources
from keyfob.demo.server import PORT, DemoServer
from keyfob.process.home import write_private

WRITTEN = "# Written by Keyfob, because another program used the demo provider's port.\n"
ISSUER = re.compile(r'^issuer = "http://127\.0\.0\.1:([0-9]{1,5})"$', re.MULTILINE)


def start_lasting(data: Path, config: Path, *, access_lifetime: int, usual: int = PORT) -> DemoServer:
    """A demo provider that serves, for a home with these folders. `access_lifetime` in seconds, `usual` the
    port that Keyfob's own preset names. Raises SettingWrong: `setting_faulty` when its parts are not
    installed, `fixed_port_taken` when another program uses its port and the user has a preset with its id.
    """
    preset = config / "providers" / "demo.toml"
    text = _read(preset)
    found = ISSUER.search(text)
    port = int(found.group(1)) if found else usual
    try:
        return DemoServer(data / "demo", port=port, access_lifetime=access_lifetime).start()
    except SettingWrong as error:
        if error.code != "fixed_port_taken" or (text and not text.startswith(WRITTEN)):
            raise
    server = DemoServer(data / "demo", port=0, access_lifetime=access_lifetime).start()
    try:
        ours = (resources() / "demo" / "demo.toml").read_text(encoding="utf-8")
        preset.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        written = WRITTEN + ours.replace(f"http://127.0.0.1:{PORT}", server.issuer)
        write_private(preset, written.encode())
    except OSError as error:
        server.stop()
        raise SettingWrong(
            "The demo provider's address could not be saved", code="setting_faulty", detail=str(error)
        ) from error
    return server


def _read(preset: Path) -> str:
    try:
        return preset.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""
