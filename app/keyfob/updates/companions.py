"""Companion tools as values: what the file of a tool says, and how its copy on this computer stands.

A companion tool is a program that a person uses with their accounts. One file, `<id>.toml`, says how to ask
its version, where its releases are and how a newer one is installed. `companion_files` reads the files.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from keyfob.core.errors import KeyfobError
from keyfob.core.limits import Id, Limits, Line, Meaning, Pattern, Title, Url

System = Literal["linux", "macos", "windows"]
Machine = Literal["x86_64", "arm64"]
How = Literal["program", "folder", "notice"]
VERSION = "version"  # the group of a pattern that holds the version

Program = Annotated[
    str,
    Limits(1, 64, r"[A-Za-z0-9][A-Za-z0-9._+-]*"),
    Meaning("the name of the program, without a folder"),
]
Template = Annotated[str, Limits(1, 300), Meaning("{version} and {tag} stand for those of the release")]
Lines = Annotated[
    Pattern, Meaning("matches a whole line, without the space around it; its group `version` is the version")
]


@dataclass(frozen=True, slots=True)
class VersionSource:
    """How the installed program says its version."""

    pattern: Lines
    arguments: Annotated[tuple[Line, ...], Meaning("of the program")] = ("--version",)
    stream: Literal["stdout", "stderr"] = "stdout"


@dataclass(frozen=True, slots=True)
class Releases:
    """Where the newest release is announced."""

    github: Annotated[
        Annotated[str, Limits(3, 140, r"[A-Za-z0-9-]+/[A-Za-z0-9._-]+")] | None,
        Meaning("owner/name of a repository with releases"),
    ] = None
    url: Annotated[Url | None, Meaning("of a text or JSON file, in place of github")] = None
    format: Annotated[Literal["text", "json"], Meaning("of the file at url")] = "text"
    field: Annotated[
        Annotated[str, Limits(1, 60, r"[A-Za-z0-9_]+")] | None,
        Meaning("of the JSON object, or of the entries of the JSON list, that has the tag"),
    ] = None
    only: Annotated[
        Annotated[str, Limits(1, 60, r"[A-Za-z0-9_]+")] | None,
        Meaning("a field: entries of the JSON list in which it is false or missing do not count"),
    ] = None
    tag: Lines = r"v?(?P<version>\d[0-9A-Za-z.+-]*)"
    page: Annotated[Template | None, Meaning("the web page of a release")] = None


@dataclass(frozen=True, slots=True)
class Download:
    """What a system downloads of a release."""

    system: System
    machine: Machine
    name: Annotated[Template | None, Meaning("of a file of the release on GitHub")] = None
    url: Annotated[Template | None, Meaning("in place of name")] = None
    program: Annotated[
        Template | None, Meaning("its path in the archive; absent: the download is the program")
    ] = None
    checksums: Annotated[
        Template | None, Meaning("a file of the release, or an address, with the SHA-256 of the download")
    ] = None


@dataclass(frozen=True, slots=True)
class Install:
    """How a newer copy is installed."""

    how: Annotated[
        How,
        Meaning(
            "program: one file, in place of the old one; folder: the whole archive, in a folder of Keyfob's; "
            "notice: the user does it"
        ),
    ] = "notice"
    command: Annotated[Line | None, Meaning("what the user runs, if Keyfob does not install it")] = None
    own_command: Annotated[Line | None, Meaning("how the tool updates itself, if it can")] = None
    hosts: Annotated[
        tuple[Annotated[str, Limits(1, 253, r"[a-z0-9.-]+(:\d+)?")], ...],
        Meaning("hosts that the download may lead to, besides its own"),
    ] = ()


@dataclass(frozen=True, slots=True)
class Companion:
    """A companion tool. One file, `<id>.toml`."""

    id: Id
    title: Title
    description: Line
    program: Program
    version: VersionSource
    releases: Releases = field(default_factory=Releases)
    downloads: tuple[Download, ...] = ()
    install: Install = field(default_factory=Install)
    providers: Annotated[tuple[Id, ...], Meaning("whose accounts it uses")] = ()
    wire: Annotated[Program | None, Meaning("its name in `keyfob wire`")] = None

    def download_for(self, system: System, machine: Machine) -> Download | None:
        """What this system downloads; None if there is nothing for it."""
        return next((d for d in self.downloads if (d.system, d.machine) == (system, machine)), None)


# --- how a tool stands --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Owner:
    """Who updates the installed copy. `manager`: a package or version manager; `name` is what it is called,
    and `command` what it would be updated with, if that is known. `everyone`: it is in a folder of the
    system.
    """

    kind: Literal["person", "keyfob", "manager", "everyone"]
    name: str = ""
    command: str = ""


@dataclass(frozen=True, slots=True)
class Installed:
    """The copy that a shell would start. `version` is None if the program does not say one."""

    path: Path
    owner: Owner
    version: str | None = None


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest release, as it was last asked for."""

    version: str
    tag: str
    page: str = ""
    notes: str = ""


State = Literal["not_installed", "unchecked", "current", "update", "unknown"]


@dataclass(frozen=True, slots=True)
class Standing:
    """A tool on this computer. `installable`: Keyfob can install the newest release here. `problem`: why the
    last check failed; `newest` is then older than that.
    """

    companion: Companion
    state: State
    installed: Installed | None = None
    newest: Newest | None = None
    checked_at: datetime | None = None
    installable: bool = False
    problem: KeyfobError | None = None
    tried_at: datetime | None = None  # when its source was asked last, with success or without
