"""Several gateways on one PostgreSQL."""

from __future__ import annotations

import json
import os
import subprocess

from .ground import HERE, Ground, say
from .measure import Row


def rounds(ground: Ground, count: int) -> list[Row]:
    """Row `team`: callers of four gateways at one expired token, strict rotation."""
    say(f"{count} rounds of an expired token at four gateways")
    done = subprocess.run(
        [str(ground.python), str(HERE / "team_rounds.py"), str(count)],
        env=os.environ | {"PYTHONPATH": str(HERE.parent.parent / "tests")},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    found = json.loads(done.stdout)
    renewals = "–".join(str(each) for each in sorted({found["renewals"][0], found["renewals"][-1]}))
    return [
        Row(
            "team",
            f"4 gateways on one PostgreSQL, {count} rounds of an expired token, 8 callers each",
            "1 renewal each round, all callers served",
            f"**{renewals} renewal**, {found['served']:,} of {found['callers']:,} callers served, "
            f"{found['lost']} sessions lost, {found['seconds']:.2f} s a round",
            found["renewals"] == [1] and found["served"] == found["callers"] and found["lost"] == 0,
            [],
            found,
        )
    ]
