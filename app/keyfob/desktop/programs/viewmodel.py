"""The page Programs, made from grants, their uses, the accounts and how the gateway stands. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo

from keyfob.core.account import AccountView
from keyfob.core.gateway_address import account_path
from keyfob.core.provider import Provider
from keyfob.core.text import plain
from keyfob.core.time_words import clock_time, date, moment
from keyfob.desktop.programs import words
from keyfob.desktop.programs.models import (
    AccountChoice,
    Draft,
    GatewayCard,
    Live,
    ProgramRow,
    ProgramsPage,
    Summary,
)
from keyfob.desktop.shared import remedies
from keyfob.desktop.shared.avatar import Face, avatar_color, first_letter
from keyfob.desktop.shared.palette import ENDED_TILE
from keyfob.desktop.window.names import face_of, name_of, shorter
from keyfob.gateway.grants import READING, Grant, Uses
from keyfob.gateway.own_gateway import Standing
from keyfob.tools.sdk import variables_of

ENDED_MOST = 5
NAME_MOST = 60  # characters of a program's name that are shown
LOCAL = "Programs on this computer can reach it. Other computers cannot."
EXAMPLES = {"github": "/repos/acme", "gitlab": "/projects/12"}  # paths of their APIs
LOCAL_PROGRAMS = "your programs on this computer, without a key"
Known = Sequence[tuple[Grant, Uses]]


def page(
    known: Known,
    views: Sequence[AccountView],
    faces: Mapping[str, Face],
    gateway: GatewayCard,
    now: datetime,
    order: Sequence[str] = (),
    *,
    loading: bool = False,
    problem: str = "",
    zone: tzinfo | None = None,
) -> ProgramsPage:
    """The whole page. `order`: the keys of the rows as they stand now, so that none moves while it is
    read.
    """
    accounts = {view.id: view for view in views}

    def made(pairs: Known) -> tuple[ProgramRow, ...]:
        return tuple(
            _row(grant, used, accounts.get(grant.account), faces, now, zone) for grant, used in pairs
        )

    active = [pair for pair in known if pair[0].is_active(now)]
    place = {key: number for number, key in enumerate(order)}
    active.sort(key=lambda pair: place.get(pair[0].grant_id, -1))
    gone = [pair for pair in known if not pair[0].is_active(now)]
    gone.sort(key=lambda pair: ended_at(pair[0]) or now, reverse=True)
    return ProgramsPage(
        gateway,
        made(active),
        made(gone[:ENDED_MOST]),
        dimmed=not gateway.address,
        loading=loading,
        problem=problem,
        accounts=bool(views),
        can_give=bool(views) and gateway.usable,
    )


def by_last_use(known: Known, now: datetime) -> list[str]:
    """The keys of the active ones: the last used first, those that have never been used last."""
    active = [(grant, used) for grant, used in known if grant.is_active(now)]
    unused = [pair for pair in active if pair[1].last_at is None]
    in_use = [pair for pair in active if pair[1].last_at is not None]
    in_use.sort(key=lambda pair: pair[1].last_at or now, reverse=True)
    return [grant.grant_id for grant, _ in (*in_use, *unused)]


def ended_at(grant: Grant) -> datetime | None:
    """When it was ended, or ended by itself."""
    return min((at for at in (grant.ended_at, grant.until) if at is not None), default=None)


def _row(
    grant: Grant,
    used: Uses,
    view: AccountView | None,
    faces: Mapping[str, Face],
    now: datetime,
    zone: tzinfo | None,
) -> ProgramRow:
    name = plain(grant.name, NAME_MOST)
    over = not grant.is_active(now)
    if over:
        at = ended_at(grant) or now
        until, left = words.ended(at, now, zone)
        limit = "Expired" if at == grant.until else "Ended by you"
    else:
        until, left = words.until(grant.until, now, zone)
        limit = words.limit(grant.paths)
    refused = "" if over else words.refused(used.refused_by_hour, now, zone)
    often = "" if over else words.often(grant.per_hour)
    if limit == words.ANYWHERE and (refused or often):
        limit = ""  # what is said instead matters more
    return ProgramRow(
        key=grant.grant_id,
        name=name,
        letter=first_letter(name),
        color=avatar_color(name) if not over else ENDED_TILE,
        used=words.used(used.last_at, now, zone),
        account=shorter(plain(name_of(view), 120), 40) if view is not None else grant.account,
        provider=view.provider_title if view is not None else "",
        face=None if view is None else faces.get(view.key) or face_of(view),
        account_note="" if over else _account_note(view),
        what=words.methods(grant.methods),
        limit=limit,
        often=often,
        refused=refused,
        until=until,
        left=left,
        span=words.in_a_line(until, left, over=over),
        soon=not over and grant.until is not None and grant.until - now < words.DAY,
        bars=used.by_hour,
        requests=words.requests(used.allowed),
        facts=_facts(grant, used, now, zone),
        ends_at=grant.until.timestamp() if grant.until is not None else math.inf,
        ended=over,
    )


def _account_note(view: AccountView | None) -> str:
    if view is None:
        return "account removed"
    match view.status:
        case "needs_sign_in":
            return "new key needed" if view.holds_key else "signed out"
        case "disconnected":
            return "disconnected"
        case _:
            return ""


def _facts(grant: Grant, used: Uses, now: datetime, zone: tzinfo | None) -> tuple[tuple[str, str], ...]:
    found = [
        ("Account", grant.account),
        ("Methods", ", ".join(grant.methods) or "All"),
        ("Paths", "\n".join(grant.paths) or "All"),
        ("Requests an hour", str(grant.per_hour) if grant.per_hour is not None else "Any number"),
        ("For", LOCAL_PROGRAMS if grant.who == "local" else grant.who.replace(":", " ", 1)),
        ("Since", _moment(grant.created_at, now, zone)),
        ("Until", _moment(grant.until, now, zone) or "No end"),
        ("Last request", _moment(used.last_at, now, zone) or "None yet"),
        ("In 24 hours", f"{words.requests(used.allowed)}, {used.refused} refused"),
        ("Grant", grant.grant_id),
    ]
    return tuple((name, plain(value, 600) if name != "Paths" else value) for name, value in found if value)


def _moment(at: datetime | None, now: datetime, zone: tzinfo | None) -> str:
    return "" if at is None else moment(at, now, zone)


def gateway_card(standing: Standing, *, on: bool, known: bool = True) -> GatewayCard:
    """The switch and what is beside it. `on`: the setting; `known`: it has been read."""
    off = "The gateway is off", "Programs cannot use your accounts through Keyfob now."
    match standing.state:
        case _ if not known:
            return GatewayCard(False, "The gateway", "One moment…", usable=False)
        case "elsewhere":
            text = "It serves these programs too. To use the gateway of this window, stop keyfob serve."
            return GatewayCard(
                on, f"keyfob serve runs on port {standing.port}", text, address=standing.address
            )
        case "failed" if on or _is_missing(standing):
            return _failed(standing)
        case "on":
            return GatewayCard(True, "The gateway is on", LOCAL, address=standing.address)
        case _ if on:
            return GatewayCard(True, "The gateway starts", "One moment…")
    return GatewayCard(False, *off)


def _is_missing(standing: Standing) -> bool:
    return standing.error is not None and standing.error.code == "gateway_not_installed"


def _failed(standing: Standing) -> GatewayCard:
    error = standing.error
    if error is not None and error.code == "gateway_port_taken":
        title = f"Port {standing.port} is taken"
        text = "Another program uses it, so the gateway cannot start. Close it, or use another port."
        return GatewayCard(True, title, text, "warn", button="Use another port…", action="port")
    if error is not None and _is_missing(standing):
        return GatewayCard(
            False, "The gateway is not installed", remedies.remedy(error), "warn", usable=False
        )
    text = remedies.sentence(error) if error is not None else ""
    return GatewayCard(True, "The gateway cannot start", text, "warn", button="Try again", action="again")


# --- the dialog ---------------------------------------------------------------------------------------------


def account_choice(view: AccountView, preset: Provider | None, face: Face | None = None) -> AccountChoice:
    """An account to choose. `preset`: None if it is not there any more."""
    title = plain(view.provider_title, 80)
    refusal = ""
    if not view.shareable:
        reason = preset.policy.share_reason if preset is not None else ""
        refusal = reason or f"{title} does not let other programs use its tokens"
    note = _account_note(view)
    if view.status == "needs_sign_in" and view.holds_key:
        note = "This account needs a new key. Requests fail until you enter one."
    elif note:
        note = f"This account is {note}. Requests fail until you reconnect it."
    bundles = [plain(each.title, 80) for each in view.access or ()]
    return AccountChoice(
        view.id,
        plain(name_of(view), 80),
        title,
        face or face_of(view),
        plain(refusal, 300),
        note,
        "; ".join(bundles),
        EXAMPLES.get(view.provider, "/path"),
    )


def again(grant: Grant, choices: tuple[AccountChoice, ...], *, turns_on: bool) -> Draft:
    """The dialog with the values of an access that has ended. What the form has no field for is kept, or
    named.
    """
    notes = []
    if grant.per_hour is not None:
        notes.append(f"As before, at most {grant.per_hour} requests an hour.")
    if grant.methods and set(grant.methods) != set(READING):
        notes.append(f"Before, it had the methods {', '.join(grant.methods)}.")
    if len(grant.paths) > 1:
        others = ", ".join(words.shown_path(one) for one in grant.paths[1:])
        notes.append(f"Before, it also had {plain(others, 300)}.")
    return Draft(
        choices,
        plain(grant.name, NAME_MOST),
        grant.account,
        bool(grant.methods),
        words.shown_path(grant.paths[0]) if grant.paths else "",
        grant.per_hour,
        " ".join(notes),
        turns_on,
    )


def summary(grant: Grant, account: str, address: str, zone: tzinfo | None = None) -> Summary:
    """What the person has given. `account`: its name. `address`: of the gateway."""
    facts = [("May do", words.methods(grant.methods), False)]
    if grant.paths:
        below = all(one.endswith("/**") for one in grant.paths)
        facts.append(
            ("Only under" if below else "Only", ", ".join(words.shown_path(one) for one in grant.paths), True)
        )
    end = "You end it"
    if grant.until is not None:
        end = f"{date(grant.until, zone)}, {clock_time(grant.until, zone)}"
    if grant.per_hour is not None:
        facts.append(("How often", words.often(grant.per_hour), False))
    facts.append(("Until", end, False))
    provider, _, label = grant.account.partition("/")
    return Summary(
        grant.grant_id,
        grant.name,
        account,
        address + account_path(provider, label),
        tuple(facts),
        variables_of(provider),
    )


def live(used: Uses, gateway: GatewayCard, zone: tzinfo | None = None) -> Live:
    """Whether a new program has called."""
    if used.allowed and used.last_at is not None:
        at = clock_time(used.last_at, zone)
        return Live(f"It works: first request at {at}", "You can close this window.", "ok", "check")
    if used.refused:
        text = "The key is right, but its request is not within what you allowed."
        return Live("Its first request was refused", text, "warn", "warning")
    if not gateway.address:
        return Live(gateway.title, gateway.text, gateway.tone, "warning" if gateway.tone else "clock")
    return Live("Waiting for its first request", "You can close this window.", "", "clock")
