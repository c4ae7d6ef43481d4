"""The packages for Python's installers, and the list of what is in the frozen app (SBOM)."""

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from _machine import stop

from _freeze.app import WORK, Parts


def wheel(python: Path, source: Path, epoch: int, target: Path) -> Path:
    """Build the wheel into `target`."""
    return _hatchling(python, source, epoch, target, "wheel", "*.whl")


def sdist(python: Path, source: Path, epoch: int, target: Path) -> Path:
    """Build the source distribution into `target`."""
    return _hatchling(python, source, epoch, target, "sdist", "*.tar.gz")


def _hatchling(python: Path, source: Path, epoch: int, target: Path, kind: str, pattern: str) -> Path:
    target.mkdir(parents=True, exist_ok=True)
    for old in target.glob(pattern):
        old.unlink()
    done = subprocess.run(
        [str(python), "-m", "hatchling", "build", "-t", kind, "-d", str(target)], cwd=source,
        env={**os.environ, "SOURCE_DATE_EPOCH": str(epoch)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        stop(f"hatchling failed: {done.stderr.strip() or done.stdout.strip()}")
    return next(target.glob(pattern))


def sbom(python: Path, source: Path, parts: Parts, epoch: int, target: Path) -> Path:
    """Write what is in the frozen app as CycloneDX: packages of Python, libraries of this system, Python."""
    raw = WORK / "environment.cdx.json"
    done = subprocess.run(
        [
            str(python.with_name("cyclonedx-py")), "environment", "--output-reproducible", "--sv", "1.6",
            "--of", "JSON", "-o", str(raw), "--pyproject", str(source / "pyproject.toml"), str(python),
        ],
        env={**os.environ, "SOURCE_DATE_EPOCH": str(epoch)}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode != 0:
        stop(f"cyclonedx-py failed: {done.stderr.strip()}")
    document = json.loads(raw.read_text("utf-8"))
    in_app(document, parts, owners(parts["libraries"]))
    target.write_text(json.dumps(document, indent=2, sort_keys=True) + "\n", "utf-8")
    return target


def in_app(document: dict[str, Any], parts: Parts, owned: dict[str, tuple[str, str]]) -> None:
    """Leave only what is in the app, and add what is not a package of Python. `owned` has, for each library
    of the system, its package and that package's version.
    """
    names = {name.lower().replace("_", "-") for name in parts["packages"]}
    kept = [each for each in document["components"] if each["name"].lower().replace("_", "-") in names]
    references = {each["bom-ref"] for each in kept} | {document["metadata"]["component"]["bom-ref"]}
    document["components"] = [*kept, _python(parts["python"]), *_libraries(owned)]
    document["dependencies"] = [
        {**each, "dependsOn": sorted(set(each.get("dependsOn", ())) & references)}
        for each in document.get("dependencies", ())
        if each["ref"] in references
    ]


def _python(version: str) -> dict[str, Any]:
    return {
        "bom-ref": "python",
        "type": "platform",
        "name": "CPython",
        "version": version,
        "purl": f"pkg:generic/cpython@{version}",
        "licenses": [{"license": {"id": "PSF-2.0"}}],
    }


def _libraries(owned: dict[str, tuple[str, str]]) -> list[dict[str, Any]]:
    found: dict[tuple[str, str], list[str]] = {}
    for library, package in sorted(owned.items()):
        found.setdefault(package, []).append(library)
    return [
        {
            "bom-ref": f"deb:{name}",
            "type": "library",
            "name": name,
            "version": version,
            **({"purl": f"pkg:deb/debian/{name}@{version}"} if version else {}),
            "properties": [{"name": "keyfob:file", "value": library} for library in libraries],
        }
        for (name, version), libraries in found.items()
    ]


def owners(libraries: dict[str, str]) -> dict[str, tuple[str, str]]:
    """The Debian package of each library, and its version; its own name and no version if there is none."""
    found = {}
    for library, file in libraries.items():
        real = os.path.realpath(file)
        # dpkg knows some files by the path before /lib became a link.
        for path in (file, real, real.removeprefix("/usr")):
            asked = subprocess.run(["dpkg", "-S", path], capture_output=True, text=True, check=False)
            if asked.returncode == 0:
                name = asked.stdout.split(":")[0]
                version = subprocess.run(
                    ["dpkg-query", "-W", "-f", "${Version}", name],
                    capture_output=True,
                    text=True,
                    check=False,
                ).stdout
                found[library] = (name, version)
                break
        else:
            found[library] = (library, "")
    return found
