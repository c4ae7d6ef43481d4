"""What another program prints, for `keyfob wire`: nothing if it cannot
be had, and never the passphrase's ways.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from keyfob.adapters.system import programs
from keyfob.process.own_process import FD_VARIABLE


def test_the_output_of_a_program_that_does_not_get_the_passphrase() -> None:
    code = f"import os; print('{FD_VARIABLE}' in os.environ, os.environ['SEEN'])"
    environment = {**os.environ, FD_VARIABLE: "7", "SEEN": "yes"}
    assert programs.output_of([sys.executable, "-c", code], environment).split() == ["False", "yes"]


def test_a_program_that_cannot_be_started_or_does_not_end_has_no_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert programs.output_of([str(tmp_path / "none")], os.environ) == ""
    monkeypatch.setattr(programs, "WITHIN", 0.2)
    assert programs.output_of([sys.executable, "-c", "import time; time.sleep(60)"], os.environ) == ""
