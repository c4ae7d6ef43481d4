"""What assistive technology sees of a program, asked from another
process: `atspi_driver.py` under the system's Python.
"""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Any

DRIVER = Path(__file__).with_name("atspi_driver.py")
SYSTEM_PYTHON = "/usr/bin/python3"


class NotThere(AssertionError):
    """What was looked for did not come, or did not go."""


class ScreenReader:
    """Looks at process `pid`. `env` is the desktop session's. Use with `with`. All waits are in seconds."""

    def __init__(self, env: dict[str, str], pid: int) -> None:
        self.pid = pid
        self.driver = subprocess.Popen(
            [SYSTEM_PYTHON, str(DRIVER)],
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.driver.stdout is not None
        if not self.driver.stdout.readline():
            _, told = self.driver.communicate(timeout=10)
            raise RuntimeError(
                f"install python3-pyatspi and gir1.2-atspi-2.0: the driver did not start: {told}"
            )

    def __enter__(self) -> ScreenReader:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.driver.kill()
        self.driver.communicate()

    def _ask(self, action: str, seconds: float, **more: Any) -> dict[str, Any]:
        assert self.driver.stdin is not None
        assert self.driver.stdout is not None
        print(
            json.dumps({"do": action, "pid": self.pid, "seconds": seconds, **more}),
            file=self.driver.stdin,
            flush=True,
        )
        answer: dict[str, Any] = json.loads(self.driver.stdout.readline())
        if not answer.pop("ok"):
            raise NotThere(f"{answer['error']}\n{self.told() if action != 'tree' else ''}")
        return answer

    def find(self, *, seconds: float = 15, **wanted: str) -> dict[str, Any]:
        """The first showing thing that has `name`, `starts` (of the name), `has` (in name or text), `role`
        (one of `a|b`), in the window of that title. Raises NotThere, with all that there was.
        """
        node: dict[str, Any] = self._ask("find", seconds, wanted=wanted)["node"]
        return node

    def gone(self, *, seconds: float = 15, **wanted: str) -> None:
        self._ask("gone", seconds, wanted=wanted)

    def there(self, **wanted: str) -> bool:
        try:
            self._ask("find", 0, wanted=wanted)
        except NotThere:
            return False
        return True

    def press(self, name: str, *, seconds: float = 15, **wanted: str) -> None:
        """A button, menu item or check box, once it is there and enabled."""
        self._ask(
            "press",
            seconds,
            wanted={
                "name": name,
                "role": "push button|button|check box|radio button|toggle button",
                **wanted,
            },
        )

    def select(self, *, seconds: float = 15, **wanted: str) -> None:
        """A row of a list."""
        self._ask("select", seconds, wanted={"role": "list item", **wanted})

    def type(self, name: str, text: str, *, seconds: float = 15, **wanted: str) -> None:
        self._ask(
            "type",
            seconds,
            wanted={"name": name, "role": "text|entry|password text|spin button", **wanted},
            text=text,
        )

    def heard(self, text: str, *, seconds: float = 15) -> list[str]:
        """All that the program has had read aloud, once one of them contains `text`."""
        texts: list[str] = self._ask("heard", seconds, has=text)["texts"]
        return texts

    def nodes(self, window: str | None = None) -> list[dict[str, Any]]:
        nodes: list[dict[str, Any]] = self._ask("tree", 0, window=window)["nodes"]
        return nodes

    def round_trip(self) -> float:
        """Seconds that the program's GUI thread takes to tell all it
        shows: long where it is busy or blocked.
        """
        took: float = self._ask("tree", 0, window=None)["took"]
        return took

    def told(self, window: str | None = None) -> str:
        """Everything that is showing, as indented lines."""
        try:
            nodes = self.nodes(window)
        except NotThere as error:
            return str(error)
        return "\n".join(
            f"{'  ' * node['depth']}{node['role']} {node['name']!r}"
            + ("" if node["enabled"] else " (disabled)")
            + (f" = {node['text']!r}" if node.get("text") and node["text"] != node["name"] else "")
            for node in nodes
        )
