"""What the page Check everything shows, made from the plan of the checks and what they found. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from keyfob.core.facts import filled
from keyfob.core.finding import Finding
from keyfob.core.words import FindingName
from keyfob.desktop.check import words
from keyfob.desktop.shared import remedies
from keyfob.desktop.window.models import KEYCHAIN_BUTTONS
from keyfob.service.doctor import Step

State = Literal["waiting", "running", "ok", "note", "warn", "fail", "timeout", "skip"]
STATE_WORDS: Mapping[State, str] = {
    "waiting": "waiting",
    "running": "checking",
    "ok": "works",
    "note": "note",
    "warn": "warning",
    "fail": "problem",
    "timeout": "timed out",
    "skip": "skipped",
}
PROVIDERS_MOST = 5  # providers with a row of their own; the others share one
NAMED_MOST = 3  # providers that the shared row names


@dataclass(frozen=True, slots=True)
class Action:
    """The button of a row. For reconnect and more_access, `key` is the account's; for repair, the tool's
    name. `access`: the bundle to ask for.
    """

    kind: Literal["unlock", "vault", "port", "reconnect", "more_access", "repair", "restore", "again"]
    text: str
    key: str = ""
    access: str = ""


@dataclass(frozen=True, slots=True)
class Hop:
    """One row: a check, or several that share one."""

    title: str
    state: State
    text: str
    effect: str = ""  # what it means and what to do
    took: str = ""
    action: Action | None = None
    leads: bool = False  # its button is the page's primary one

    @property
    def grown(self) -> bool:
        """Whether it is a problem, which has more room."""
        return self.state in ("fail", "timeout")


@dataclass(frozen=True, slots=True)
class Group:
    """A card with its rows."""

    title: str
    hops: tuple[Hop, ...]


@dataclass(frozen=True, slots=True)
class Result:
    """One check that has ended, and how many seconds it took."""

    finding: Finding
    seconds: float


@dataclass(frozen=True, slots=True)
class Check:
    """The page. `problems` and `warnings` are counted once the run has ended."""

    summary: str
    groups: tuple[Group, ...] = ()
    running: bool = False
    problems: int = 0
    warnings: int = 0


_Row = tuple[Hop, float]  # with its seconds


def progress(steps: Sequence[Step], results: Sequence[Result]) -> Check:
    """A run under way: `results` has what ended, in the order of `steps`."""
    count = f"{len(results)} of {len(steps)}" if steps else ""
    return Check(f"Checking… {count}".rstrip(), _groups(steps, results), running=True)


def ended(steps: Sequence[Step], results: Sequence[Result], at: str, seconds: float) -> Check:
    """A run that has ended at the time `at`, after so many seconds."""
    states = [state_of(result.finding) for result in results]
    problems, warnings = states.count("fail") + states.count("timeout"), states.count("warn")
    found = outcome(problems, warnings)
    summary = f"{found} Checked at {at} in {seconds:.1f} seconds."
    return Check(summary, _one_lead(_groups(steps, results)), problems=problems, warnings=warnings)


def outcome(problems: int, warnings: int) -> str:
    """The result in a sentence."""
    parts = [
        f"{count} {word}{'' if count == 1 else 's'}"
        for count, word in ((problems, "problem"), (warnings, "warning"))
        if count
    ]
    return f"{' and '.join(parts)}." if parts else "Everything works."


def took(seconds: float) -> str:
    """How long a check took; empty if that is not worth a word."""
    if seconds >= 1:
        return f"{seconds:.1f} s"
    return f"{seconds * 1000:.0f} ms" if seconds >= 0.001 else ""


def state_of(finding: Finding) -> State:
    """How a check that has ended stands."""
    if finding.ok and finding.level != "fail":
        return finding.level
    return "timeout" if finding.code in words.TIMED_OUT else "fail"


def _groups(steps: Sequence[Step], results: Sequence[Result]) -> tuple[Group, ...]:
    rows: list[tuple[FindingName, _Row]] = []
    for number, step in enumerate(steps):
        if number < len(results):
            rows.append((step.name, (_hop(step, results[number]), results[number].seconds)))
        else:
            rows.append((step.name, (_to_come(step, number == len(results)), 0.0)))
    groups = []
    for title, names in words.GROUPS:
        hops = [hop for name, (hop, _) in rows if name in names and name != "provider"]
        if "provider" in names:
            hops.extend(_folded([row for name, row in rows if name == "provider"]))
        if hops:
            groups.append(Group(title, tuple(hops)))
    return tuple(groups)


def _to_come(step: Step, runs: bool) -> Hop:
    title = step.subject or words.TITLES[step.name]
    return Hop(title, "running", "Checking…") if runs else Hop(title, "waiting", "Waiting")


def _hop(step: Step, result: Result) -> Hop:
    finding = result.finding
    title = step.subject or words.TITLES[step.name]
    state = state_of(finding)
    text = finding.text.rstrip(".") + "."
    time = took(result.seconds) if state != "skip" else ""
    if state not in ("warn", "fail", "timeout"):
        return Hop(title, state, text, took=time)
    action = _action(finding)
    return Hop(title, state, text, _effect(finding, action), time, action)


def _action(finding: Finding) -> Action | None:
    code = finding.code
    if code == "access_lacking" and finding.account is not None:
        return Action("more_access", "Ask for more…", finding.account, finding.facts.get("access", ""))
    if finding.account is not None:
        return Action("reconnect", "Sign in…", finding.account)
    if code is None:
        return None
    if code in KEYCHAIN_BUTTONS:
        return Action("unlock", KEYCHAIN_BUTTONS[code])
    if code == "keychain_absent":
        return Action("vault", "Choose another place…")
    if code == "port_taken":
        return Action("port", "Change port…")
    if code == "setup_changed":
        return Action("repair", "Repair…", finding.facts.get("name", ""))
    if code == "store_damaged":
        return Action("restore", "Restore accounts…")
    if code in words.PASSING:
        return Action("again", "Try again")
    return None


def _effect(finding: Finding, action: Action | None) -> str:
    """What it means; and what to do, unless the button does it."""
    if finding.code == "access_lacking":
        meaning = words.LACKING
    elif finding.account is not None:
        meaning = words.SIGNED_OUT
    elif finding.code == "setup_changed":
        meaning = words.CHANGED
    else:
        meaning = words.EFFECTS[finding.name] if finding.level == "fail" else ""
    does_it = action is not None and action.kind in (
        "unlock",
        "reconnect",
        "more_access",
        "repair",
        "restore",
    )
    if finding.code is None or does_it:
        return meaning
    return f"{meaning} {filled(remedies.REMEDIES[finding.code], finding.facts)}".strip()


def _folded(rows: Sequence[_Row]) -> list[Hop]:
    """The providers: those that fail first, and if there are many, one row for the rest."""
    if len(rows) <= PROVIDERS_MOST + 1:
        return [hop for hop, _ in rows]
    urgent = [row for row in rows if row[0].grown or row[0].state == "warn"]
    quiet = [row for row in rows if row not in urgent]
    room = max(PROVIDERS_MOST - len(urgent), 0)
    shown, rest = [*urgent, *quiet[:room]], quiet[room:]
    hops = [hop for hop, _ in shown]
    return [*hops, _rest(rest)] if len(rest) > 1 else [*hops, *(hop for hop, _ in rest)]


def _rest(rows: Sequence[_Row]) -> Hop:
    title = f"{len(rows)} more"
    states = {hop.state for hop, _ in rows}
    if states & {"waiting", "running"}:
        return Hop(title, "running", "Checking…") if "running" in states else Hop(title, "waiting", "Waiting")
    names = [hop.title for hop, _ in rows]
    if len(names) > NAMED_MOST:
        names = [*names[: NAMED_MOST - 1], f"{len(names) - NAMED_MOST + 1} others"]
    listed = f"{', '.join(names[:-1])} and {names[-1]}"
    if states == {"skip"}:
        return Hop(title, "skip", f"{listed} are not checked, because this computer is offline.")
    seconds = sum(each for _, each in rows)
    return Hop(title, "ok", f"{listed} answer.", took=took(seconds))


def _one_lead(groups: tuple[Group, ...]) -> tuple[Group, ...]:
    """The first failure with a button has the page's primary one."""
    found = False
    out = []
    for group in groups:
        hops = []
        for hop in group.hops:
            leads = not found and hop.grown and hop.action is not None
            found = found or leads
            hops.append(replace(hop, leads=leads))
        out.append(replace(group, hops=tuple(hops)))
    return tuple(out)
