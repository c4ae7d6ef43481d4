"""Times `keyfob.token()` inside one program: asked of the agent each time, and from this process's memory."""

import json
import sys
import time

import keyfob
from keyfob.client import tokens

account, rounds = sys.argv[1], int(sys.argv[2])


def times(forget: bool) -> list[float]:
    found = []
    for _ in range(rounds):
        if forget:
            tokens.forget()
        began = time.perf_counter()
        keyfob.token(account)
        found.append((time.perf_counter() - began) * 1000)
    return found


keyfob.token(account)
print(json.dumps({"asked": times(True), "memory": times(False)}))
