"""Each program that Keyfob can set up or import from is one file,
which `wire`, `import` and the guide know.
"""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from click.testing import CliRunner

from keyfob import tools
from keyfob.cli.wire import wire
from keyfob.tools.registry import FORMATS, SETUPS, TOOLS
from keyfob.tools.tool import Tool

GUIDE = Path(__file__).parents[2] / "docs" / "tools.md"
FILES = sorted(path.stem for path in Path(tools.__file__).parent.glob("*.py") if path.stem != "__init__")


def test_every_file_that_has_a_tool_is_in_the_registry() -> None:
    modules = [importlib.import_module(f"keyfob.tools.{name}") for name in FILES]
    found = [each for module in modules for each in vars(module).values() if isinstance(each, Tool)]
    assert sorted(each.name for each in found) == sorted(each.name for each in TOOLS)


def test_a_name_stands_for_one_tool_one_format_and_one_option() -> None:
    options = {each for setup in SETUPS.values() for each in setup.options}
    for names in (
        [each.name for each in TOOLS],
        [each.source for each in FORMATS],
        [each.name for each in options],
    ):
        assert len(names) == len(set(names))


@pytest.mark.parametrize("name", SETUPS)
def test_the_guide_and_the_help_of_wire_know_each_tool_and_its_options(name: str) -> None:
    shown = CliRunner().invoke(wire, ["--help"], terminal_width=200).output
    assert f"  {name} " in shown
    for option in SETUPS[name].options:
        assert f"--{option.name.replace('_', '-')} {option.metavar or ' '}" in shown
    assert f"keyfob wire {name}" in GUIDE.read_text("utf-8")
