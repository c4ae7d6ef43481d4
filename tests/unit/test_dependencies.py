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


def test_every_package_that_is_imported_is_declared() -> None:
    missing = {}
    for owner, files in IMPORTED.items():
        if owner in DECLARED or owner in EXTRAS["fast"]:
            continue
        outside = {each for each in files if not each.startswith("demo/")}
        if owner not in EXTRAS["demo"] or outside:
            missing[owner] = outside or files
    assert missing == {}


def test_every_package_that_is_declared_is_imported() -> None:
    declared = set(DECLARED) | set(EXTRAS["demo"]) | set(EXTRAS["fast"])
    assert declared - set(IMPORTED) == set()


@pytest.mark.parametrize(("name", "bounds"), [*DECLARED.items(), *EXTRAS["demo"].items()])
def test_each_has_a_lowest_version(name: str, bounds: str) -> None:
    assert bounds.startswith((">=", "!=")), name
