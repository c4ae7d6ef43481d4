"""Asks for the newest release of a companion tool, and gets its files.

A source is a repository with releases on GitHub, or a text or JSON file. Of several releases the newest
counts whose tag fits the tool's pattern and that is not a pre-release. Blocks; thread-safe.
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from keyfob.core.errors import PeerFault, Transient
from keyfob.core.text import plain
from keyfob.protocol.http.responses import failure, is_web_page
from keyfob.updates.companion_probe import matches
from keyfob.updates.companions import Companion, Download, Newest
from keyfob.updates.download import Progress, download
from keyfob.updates.reading import check, opened

if TYPE_CHECKING:
    from keyfob.core.untyped import Json
    from keyfob.ports import StreamingTransport
    from keyfob.updates import feeds as lists

GITHUB = "https://api.github.com"
# What GitHub's downloads lead to.
GITHUB_HOSTS = ("github.com", "release-assets.githubusercontent.com", "objects.githubusercontent.com")
TEXT_MOST = 4 * 1024 * 1024  # bytes of a text or JSON file, and of a list of checksums
NOTES_MOST = 20_000  # characters of a release's notes that are kept
_TAG = re.compile(r"[0-9A-Za-z][0-9A-Za-z._+@-]{0,99}")
_SUM = re.compile(r"(?P<digest>[0-9A-Fa-f]{64})(?:\s+\*?(?P<name>\S.*))?")


@dataclass(frozen=True, slots=True)
class Release:
    """The newest release of a tool; `assets` are its files, for a source on GitHub."""

    newest: Newest
    assets: tuple[lists.Asset, ...] = ()


@dataclass(frozen=True, slots=True)
class File:
    """What is to be downloaded. `sha256` is None if nobody says it. `hosts`: those that may give it."""

    url: str
    name: str
    hosts: tuple[str, ...]
    sha256: str | None = None
    size: int | None = None


class CompanionFeeds:
    """`releases` reads lists of releases as GitHub gives them. `github`: the address of GitHub's API."""

    def __init__(
        self, releases: lists.ReleaseFeeds, transport: StreamingTransport, github: str = GITHUB
    ) -> None:
        self._releases, self._transport, self._github = releases, transport, github

    def newest(self, tool: Companion, cancelled: threading.Event) -> Release:
        """The newest release. Raises Transient, SettingWrong `tls_untrusted`, SignInEnded `cancelled`, and
        PeerFault `release_unreadable` if the source names no release that fits.
        """
        if tool.releases.github is not None:
            found = self._of_github(tool, tool.releases.github, cancelled)
        else:
            found = self._of_file(tool, cancelled)
        if found is None:
            raise _unreadable(tool)
        return found

    def _of_github(self, tool: Companion, repository: str, cancelled: threading.Event) -> Release | None:
        check(cancelled)
        address = f"{self._github}/repos/{repository}/releases"
        found = self._releases.newest(address, wanted=lambda each: bool(list(_versions(tool, each.tag))))
        if found is None:
            return None
        version = next(_versions(tool, found.tag))
        return Release(Newest(version, found.tag, found.page or "", found.notes[:NOTES_MOST]), found.assets)

    def _of_file(self, tool: Companion, cancelled: threading.Event) -> Release | None:
        source = tool.releases
        assert source.url is not None
        hosts = (urlsplit(source.url).netloc, *tool.install.hosts)
        data = self._text(source.url, hosts, cancelled)
        if source.format == "json":
            texts: Iterator[str] = _fields(tool, data)
        else:
            texts = iter(data.decode("utf-8", "replace").splitlines())
        for text in texts:
            for version in _versions(tool, text):
                tag = text.strip()
                page = filled(source.page or "", version, tag)
                return Release(Newest(version, tag, page))
        return None

    def file_of(
        self, tool: Companion, wanted: Download, release: Release, cancelled: threading.Event
    ) -> File:
        """The file to download, with its checksum if somebody says it. Raises PeerFault `release_unreadable`
        if the release does not have it, `download_wrong` if two checksums of it differ.
        """
        newest = release.newest
        hosts = tool.install.hosts
        if wanted.url is not None:
            url = filled(wanted.url, newest.version, newest.tag)
            name = Path(unquote(urlsplit(url).path)).name
            file = File(url, name, (urlsplit(url).netloc, *hosts))
        else:
            asset = self._asset(tool, wanted.name or "", release)
            file = File(asset.url, asset.name, (*GITHUB_HOSTS, *hosts), asset.sha256, asset.size)
        if wanted.checksums is None:
            return file
        digest = self._checksum(tool, wanted.checksums, file, release, cancelled)
        if file.sha256 is not None and file.sha256.lower() != digest:
            raise PeerFault(
                f"{tool.title} {newest.version} has two different checksums, so Keyfob does not install it",
                code="download_wrong",
            )
        return File(file.url, file.name, file.hosts, digest, file.size)

    def _checksum(
        self, tool: Companion, template: str, file: File, release: Release, cancelled: threading.Event
    ) -> str:
        text = filled(template, release.newest.version, release.newest.tag)
        if "://" in text:
            url, hosts = text, (urlsplit(text).netloc, *tool.install.hosts)
        else:
            url, hosts = self._asset(tool, text, release).url, (*GITHUB_HOSTS, *tool.install.hosts)
        data = self._text(url, hosts, cancelled)
        digest = checksum_in(data.decode("utf-8", "replace"), file.name)
        if digest is None:
            raise PeerFault(
                f"The list of checksums of {tool.title} {release.newest.version} does not have {file.name}",
                code="release_unreadable",
            )
        return digest

    def _asset(self, tool: Companion, template: str, release: Release) -> lists.Asset:
        name = filled(template, release.newest.version, release.newest.tag)
        found = next((each for each in release.assets if each.name == name), None)
        if found is None:
            raise PeerFault(
                f"The release {plain(release.newest.tag, 60)} of {tool.title} has no file {name}",
                code="release_unreadable",
            )
        return found

    def _text(self, url: str, hosts: Sequence[str], cancelled: threading.Event) -> bytes:
        """A small file. Raises as `newest`."""
        with opened(self._transport, url, {"Accept": "*/*"}, hosts, cancelled) as reading:
            answer = reading.beginning()
            if answer.status != 200:
                raise failure(answer, reading.host, who=reading.host)
            if is_web_page(answer):
                raise Transient(
                    f"A web page came instead of the file from {reading.host}",
                    code="captive_portal",
                    answered=True,
                )
            body = b""
            for piece in reading.pieces():
                body += piece
                if len(body) > TEXT_MOST:
                    raise PeerFault(f"The file from {reading.host} is too long", code="release_unreadable")
        return body

    def fetch(
        self,
        file: File,
        folder: Path,
        progress: Callable[[Progress], None],
        cancelled: threading.Event,
    ) -> Path:
        """Download into `folder`. Raises as `download`."""
        return download(
            file.url,
            folder / file.name,
            allowed_hosts=file.hosts,
            expected_size=file.size,
            sha256=file.sha256,
            progress=progress,
            cancelled=cancelled,
            transport=self._transport,
        )


def filled(template: str, version: str, tag: str) -> str:
    """The template with the release's own version and tag."""
    return template.replace("{version}", version).replace("{tag}", tag)


def checksum_in(text: str, name: str) -> str | None:
    """The SHA-256 of a file in a list of `sha256sum`, in lower-case hex; a single checksum without a name is
    that of the file.
    """
    found = [match for line in text.splitlines() if (match := _SUM.fullmatch(line.strip()))]
    for match in found:
        if match["name"] == name:
            return match["digest"].lower()
    if len(found) == 1 and found[0]["name"] is None:
        return found[0]["digest"].lower()
    return None


def _versions(tool: Companion, text: str) -> Iterator[str]:
    """The version in a tag, if it fits the tool's pattern. Both become parts of addresses and file names."""
    tag = text.strip()
    if _TAG.fullmatch(tag):
        yield from (version for version in matches(tool.releases.tag, tag) if _TAG.fullmatch(version))


def _fields(tool: Companion, data: bytes) -> Iterator[str]:
    """The field of the object, or of each entry of the list, that has the tag."""
    try:
        document: Json = json.loads(data)
    except (ValueError, RecursionError):
        raise _unreadable(tool) from None
    source = tool.releases
    for entry in document if isinstance(document, list) else [document]:
        if not isinstance(entry, dict) or (source.only is not None and not entry.get(source.only)):
            continue
        value = entry.get(source.field or "")
        if isinstance(value, str):
            yield value


def _unreadable(tool: Companion) -> PeerFault:
    return PeerFault(
        f"The source of {tool.title}'s releases does not name one that Keyfob can read",
        code="release_unreadable",
    )
