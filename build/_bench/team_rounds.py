"""Four gateways on one PostgreSQL, rounds of an expired token under strict rotation: `team_rounds.py ROUNDS`,
with the tests on the path, prints figures as JSON.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

GATEWAYS, CALLERS = 4, 8


def main() -> None:
    from support.postgres import Postgres
    from support.team_rig import RotatingProvider, Team

    rounds, renewals, served, seconds = int(sys.argv[1]), [], 0, []
    with tempfile.TemporaryDirectory() as folder, Postgres() as server, RotatingProvider() as provider:
        team = Team(Path(folder), server.url, provider.issuer)
        gateways = team.start(GATEWAYS)
        with ThreadPoolExecutor(CALLERS) as pool:
            for number in range(rounds):
                label = f"r{number}"
                team.fill(label, left=-5)
                began = time.monotonic()
                calls = [pool.submit(gateways[each % GATEWAYS].get, label) for each in range(CALLERS)]
                served += sum(call.result().status_code == 200 for call in calls)
                seconds.append(time.monotonic() - began)
                renewals.append(provider.given[label])
        team.close()
        lost = len(provider.dead)
    print(json.dumps({
        "rounds": rounds, "renewals": sorted(set(renewals)), "served": served, "callers": rounds * CALLERS,
        "lost": lost, "seconds": round(median(seconds), 3),
    }))  # fmt: skip


if __name__ == "__main__":
    main()
