"""Where this build gets updates from: `resources/updates.toml`, filled in by whoever publishes the build, and
beside it the first root of trust, `resources/updates/root.json`. As the project comes, both are empty: then
nothing is asked for, and Keyfob says so.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from keyfob.core.errors import Fault
from keyfob.core.resources import resources
from keyfob.protocol.http.urls import fault_of

_KEYS = ("feed", "metadata", "targets")


@dataclass(frozen=True, slots=True)
class Source:
    """Addresses, or None. `feed`: a list of releases of GitHub's shape, for the notice that there is a newer
    version. `metadata`, `targets` and `root`: a TUF repository, from which a bundle updates itself. `hosts`:
    further hosts that `targets` may redirect to.
    """

    feed: str | None = None
    metadata: str | None = None
    targets: str | None = None
    hosts: tuple[str, ...] = ()
    root: bytes | None = field(default=None, repr=False)

    @property
    def signed(self) -> bool:
        """Whether a bundle can update itself."""
        return self.metadata is not None and self.targets is not None and self.root is not None

    @property
    def target_hosts(self) -> tuple[str, ...]:
        """The hosts that an archive may come from."""
        return (urlsplit(self.targets or "").netloc, *self.hosts)


def read_source(folder: Path | None = None) -> Source:
    """The source that this build came with. `folder`: by default the app's own resources. Raises Fault for a
    file that its publisher got wrong: a build with a half source would say that all is current.
    """
    folder = folder or resources()
    try:
        said = tomllib.loads((folder / "updates.toml").read_text("utf-8"))
    except FileNotFoundError:
        return Source()
    except (OSError, ValueError) as error:
        raise Fault("The file updates.toml of this build cannot be read") from error
    values = {key: _address(said.get(key, ""), key) for key in _KEYS}
    hosts = said.get("hosts", [])
    if not isinstance(hosts, list) or not all(isinstance(each, str) for each in hosts):
        raise Fault("hosts in the file updates.toml of this build is not a list of names")
    try:
        root: bytes | None = (folder / "updates" / "root.json").read_bytes()
    except FileNotFoundError:
        root = None
    source = Source(**values, hosts=tuple(hosts), root=root)
    if any((source.metadata, source.targets, source.root)) and not source.signed:
        raise Fault("This build names metadata, targets or root.json for updates, but not all three")
    return source


def _address(value: object, key: str) -> str | None:
    if value == "":
        return None
    if not isinstance(value, str) or fault_of(value) is not None:
        raise Fault(f"{key} in the file updates.toml of this build is not an https address")
    return value
