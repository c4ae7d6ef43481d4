"""What the translation between the formats of language models costs."""

from __future__ import annotations

import json
import subprocess

from .ground import HERE, Ground, say
from .measure import Row

AIM = 0.05  # of a core


def streams(ground: Ground, seconds: float) -> list[Row]:
    """Row `translation`: 20 streams at once, each with 100 events a second, in each pair of formats."""
    say("20 translated streams")
    done = subprocess.run(
        [str(ground.python), str(HERE / "translated_streams.py"), str(seconds)],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = json.loads(done.stdout)
    worst = max(found, key=lambda name: found[name]["translated"])
    shares = [f"{name} {_percent(each['translated'])}" for name, each in found.items() if name != worst]
    return [
        Row(
            "translation",
            "20 streams of a language model, 100 events a second each, translated",
            f"≤ {_percent(AIM)} of a core",
            f"**{_percent(found[worst]['translated'])}** ({worst}); {'; '.join(shares)}",
            found[worst]["translated"] <= AIM,
            [f"the same events read as JSON and written again {_percent(found[worst]['reread'])}"],
            found,
        )
    ]


def _percent(share: float) -> str:
    return f"{share * 100:.1f} %"
