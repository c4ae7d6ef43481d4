"""Runs all tests, and the files of those that failed two times more; prints how each failed.

Tests of real browsers, keychains and servers meet the odd hiccup of a busy machine. A test that fails in two
runs of three has failed. The other runs keep the random order of the first within a file, so that a test that
depends on the tests before it fails again. Exits with pytest's code. Called by `.ci/run`, with pytest's
arguments.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree

ROOT = Path(__file__).resolve().parent.parent
RUNS = 3
MOST = 25  # more tests than this fail for one reason, and trying again only costs time
SHOWN = 25  # lines of a failure
FAILED = 1  # pytest's exit code for failed tests; any other is not tried again


def run(number: int, seed: int, arguments: list[str]) -> tuple[int, set[str], dict[str, str]]:
    """One run: pytest's exit code, the tests that failed, and the end of
    what each said, by the test's own name.
    """
    cache = ROOT / ".cache" / f"pytest-{number}"
    last, report = cache / "v" / "cache" / "lastfailed", cache / "report.xml"
    for file in (last, report):
        file.unlink(missing_ok=True)
    options = ["-o", f"cache_dir={cache}", f"--junitxml={report}", f"--randomly-seed={seed}", *arguments]
    code = subprocess.run([sys.executable, str(ROOT / "build" / "test"), *options], check=False).returncode
    failed = json.loads(last.read_text("utf-8")) if last.exists() else {}
    return code, set(failed), failures(report)


def failures(report: Path) -> dict[str, str]:
    """The end of each failure's text, by the name of its test without the file."""
    said: dict[str, str] = {}
    for case in ElementTree.parse(report).iter("testcase") if report.exists() else ():
        for fault in (*case.findall("failure"), *case.findall("error")):
            lines = (fault.text or fault.get("message") or "").splitlines()
            said[case.get("name", "")] = "\n".join(f"    {line}" for line in lines[-SHOWN:])
    return said


def main(arguments: list[str]) -> int:
    seed = random.SystemRandom().randrange(2**31)
    code, failed, texts = run(1, seed, arguments)
    if code != FAILED:
        return code
    print(f"\nFailed at first, in random order {seed}:")
    for name in sorted(failed):
        print(f"  {name}")
    if len(failed) > MOST:
        print(f"More than {MOST} tests failed. They are not tried again.", flush=True)
        return code
    times = Counter(failed)
    files = sorted({name.split("::")[0] for name in failed})
    for number in range(2, RUNS + 1):
        print(f"\nRun {number} of {RUNS}, of the files with failed tests:", flush=True)
        again, failed, more = run(number, seed, files)
        texts = {**more, **texts}
        if again not in (0, FAILED):
            return again
        times.update(failed)
    lost = sorted(name for name, count in times.items() if count * 2 > RUNS)
    once = sorted(name for name in times if name not in lost)
    if once:
        print(f"\nFailed in one run of {RUNS}. This is a fault of the test or of Keyfob: mend it.")
        for name in once:
            print(f"  {name}\n{texts.get(name.split('::')[-1], '')}")
    if lost:
        print(f"\nFailed in two runs of {RUNS} or more:")
        for name in lost:
            print(f"  {name} ({times[name]} of {RUNS})\n{texts.get(name.split('::')[-1], '')}")
    sys.stdout.flush()
    return FAILED if lost else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
