"""The licences of everything in the frozen app, as one text."""

import re
from email.message import Message
from pathlib import Path
from typing import Any

# Licences that are named and not written out in what these come with; each Debian has their text.
COMMON = Path("/usr/share/common-licenses")
QT = ("LGPL-3", "GPL-3")
DEBIAN_HAS = {  # by a line with which the licence's own words begin
    "TERMS AND CONDITIONS FOR USE, REPRODUCTION, AND DISTRIBUTION": "Apache-2.0",
    "GNU GENERAL PUBLIC LICENSE": "GPL-2",
}
_RULE = "\n" + "=" * 100 + "\n\n"


def text(parts: dict[str, Any], own: str, *, debian: bool = False) -> str:
    """One text: Keyfob's own licence, then each part's name, version, licence and the licence's words. For
    Debian, the licences that each Debian has are named and not repeated.
    """
    sections = [f"Keyfob\n\n{own.strip()}\n"]
    for name, part in sorted(parts["packages"].items(), key=lambda each: each[0].lower()):
        words = [Path(file).read_text("utf-8", "replace").strip() for file in part["texts"]]
        if debian:
            words = [_named(each) for each in words]
        sections.append("\n\n".join([f"{name} {part['version']}\nLicence: {part['licence']}", *words]) + "\n")
    sections.append(f"Python {parts['python']}\nLicence: PSF-2.0\n\n{parts['python_licence'].strip()}\n")
    for name in QT:
        file = COMMON / name
        if debian:
            sections.append(f"Qt, PySide6 and Shiboken\nLicence: {name}, see {COMMON / name}\n")
            continue
        words = file.read_text("utf-8") if file.exists() else f"See https://www.gnu.org/licenses/ ({name})"
        sections.append(f"The {name} licence, under which Qt, PySide6 and Shiboken come\n\n{words.strip()}\n")
    if parts["libraries"]:
        names = "\n".join(f"  {name}" for name in sorted(parts["libraries"]))
        sections.append(
            f"Libraries of the system that this was built on, under their own licences\n\n{names}\n"
        )
    return _RULE.join(sections)


def _named(words: str) -> str:
    """The words with the names of licences that each Debian has in place of these licences' words."""
    found = [(words.index(mark), name) for mark, name in DEBIAN_HAS.items() if mark in words]
    if not found:
        return words
    see = " and ".join(str(COMMON / name) for _, name in sorted(found))
    return f"{words[: min(found)[0]].rstrip()}\n\nSee {see}"


def licence_of(metadata: Message) -> str:
    """The licence that a package's own description names."""
    named = metadata.get("License-Expression") or metadata.get("License") or ""
    if named and "\n" not in named.strip() and len(named) < 80:
        return str(named.strip())
    classified = [
        re.sub(r"^License :: (OSI Approved :: )?", "", each)
        for each in metadata.get_all("Classifier") or ()
        if each.startswith("License ::")
    ]
    return ", ".join(classified) or "see below"
