"""The publisher's client ids for a build: checks a file of the form of resources/clients.toml and puts it
into the source that is built. For `build/freeze --clients=FILE`. Runs on a bare `python3`.
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


class ClientsError(Exception):
    """The file cannot be used. The text names each line, what is wrong with it and what to do."""


def install(file: Path, source: Path) -> list[str]:
    """Check `file` and write it as resources/clients.toml of the checkout at `source`. Returns the presets
    that it has ids for. Raises ClientsError.
    """
    sys.path.insert(0, str(ROOT / "app"))
    from keyfob.providers.catalogue import Catalogue
    from keyfob.providers.published_clients import FILE, read_clients

    sys.path.pop(0)
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ClientsError(f"{file} cannot be read: {error.strerror}") from None
    presets = {provider.id: provider for provider in Catalogue(source / "resources" / "providers").all()}
    found, faults = read_clients(data, presets)
    if faults:
        lines = (fault.sentence().replace(FILE, str(file), 1) for fault in faults)
        raise ClientsError("\n".join(lines))
    (source / "resources" / FILE).write_bytes(data)
    return sorted(found)
