"""What the code imports is what the project declares: a package that
comes along with another may leave with it.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
APP = ROOT / "app" / "keyfob"
DISTRIBUTIONS = packages_distributions()


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def names(requirements: list[str]) -> dict[str, str]:
    """Each distribution with its bounds."""
    parted = [re.match(r"([A-Za-z0-9._-]+)(?:\[[^]]*\])?([^;]*)", each) for each in requirements]
    return {normal(each[1]): each[2].strip() for each in parted if each}


def imported(folder: Path) -> dict[str, set[str]]:
    """The distributions that the files of `folder` import, with those files."""
    found: dict[str, set[str]] = {}
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            match node:
                case ast.Import():
                    modules = [each.name for each in node.names]
                case ast.ImportFrom(module=str(module), level=0):
                    modules = [module]
                case ast.Call(func=ast.Name(id="import_module"), args=[ast.Constant(value=str(module))]):
                    modules = [module]
                case _:
                    continue
            for top in {module.partition(".")[0] for module in modules}:
                if top not in sys.stdlib_module_names and top != "keyfob":
                    owner = normal(DISTRIBUTIONS.get(top, [top])[0])
                    found.setdefault(owner, set()).add(path.relative_to(APP).as_posix())
    return found


DECLARED = names(PROJECT["dependencies"])
EXTRAS = {extra: names(listed) for extra, listed in PROJECT["optional-dependencies"].items()}
IMPORTED = imported(APP)


# Which files may import what an extra brings. `fast` is tried for, and done without. Only a bundle, which has
# all of `desktop`, updates itself.
MAY_IMPORT = {
    "desktop": r"desktop/.*|updates/(trusted|metadata_fetcher)\.py",
    "demo": r"demo/.*",
    "fast": r".*",
    "jq": r"cli/api_pages\.py",
    "gateway": r"gateway/.*|adapters/database/.*|cli/(serve|keys|gateway_database)\.py",
}
# A class for an HTTP library is for those who have that library.
FOR_A_LIBRARY = re.compile(r"client/\w+_auth\.py")


def allowed(owner: str, file: str) -> bool:
    """Whether an installation that has this file's part has the package."""
    if owner in DECLARED or FOR_A_LIBRARY.fullmatch(file):
        return True
    return any(owner in EXTRAS[extra] and re.fullmatch(files, file) for extra, files in MAY_IMPORT.items())


def test_every_package_that_is_imported_is_declared() -> None:
    missing = {
        owner: outside
        for owner, files in IMPORTED.items()
        if (outside := {each for each in files if not allowed(owner, each)})
    }
    assert missing == {}
    assert set(MAY_IMPORT) == set(EXTRAS)


def test_every_package_that_is_declared_is_imported() -> None:
    declared = set(DECLARED).union(*EXTRAS.values())
    assert declared - set(IMPORTED) == set()


@pytest.mark.parametrize(
    ("name", "bounds"), [*DECLARED.items(), *(pair for extra in EXTRAS.values() for pair in extra.items())]
)
def test_each_has_a_lowest_version(name: str, bounds: str) -> None:
    assert bounds.startswith((">=", "!=")), name
