"""What to do, for somebody at a terminal."""

from __future__ import annotations

import re

from keyfob.core.errors import CODES
from keyfob.core.remedies import REMEDIES, in_terminal

OF_THE_WINDOW = re.compile(r"Settings|settings\.json|Press |Reconnect|Keyfob's window")


def test_each_remedy_that_names_the_window_has_one_for_the_terminal() -> None:
    assert {code for code, info in CODES.items() if OF_THE_WINDOW.search(info.remedy)} == set(REMEDIES)
    for code, here in REMEDIES.items():
        assert in_terminal(CODES[code].remedy) == here, "equal remedies have equal ones here"
        assert here.endswith(".")
        assert "`keyfob " in here
        assert not re.search(r"Settings|settings\.json|Press |Reconnect", here)


def test_an_errors_own_remedy_stays() -> None:
    assert in_terminal("Charge the battery.") == "Charge the battery."
