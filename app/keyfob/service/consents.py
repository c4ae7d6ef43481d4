"""Consent for each program: Keyfob asks the user once which program may have an account's token, and the user
can revoke it.

Off unless the setting is on. The agent calls it before it returns a token. No request's thread waits for the
user: a request that needs an answer says so, and continues when the answer is there. If no window is open,
the answer is no.

The text next to the setting says what this can and cannot do. It shows and limits what asks through the
agent. It does not protect one user's programs from each other: they can start each other and change each
other's memory and files, and a command that works without an agent does not ask.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any

from keyfob.core.consent import LASTS, Permission, Program, Question, Reply
from keyfob.core.errors import Fault, KeyfobError, NotFound, SettingWrong, Transient
from keyfob.core.settings import Settings
from keyfob.core.text import plain
from keyfob.core.times import from_rfc3339
from keyfob.ports import Clock, NamedValues, Spawn

log = logging.getLogger(__name__)

PREFIX = "consent/"
QUESTIONS_OF_ONE = 8  # that wait for the user, about one program
QUESTIONS_MOST = 32
REQUESTS_OF_ONE = 64  # that wait for an answer, of one program
REQUESTS_MOST = 256

Ask = Callable[[Question], Reply]
OnAnswer = Callable[[KeyfobError | None], None]
Alive = Callable[[], bool]


class UnansweredError(Exception):
    """The user must be asked first. `wait` has them asked and returns at once; raises Transient `busy` when
    too much waits already. It calls its first argument once, from another thread: with None when this
    account's token may be had for this request, else with what is wrong. Its second says whether anybody
    still wants to know.
    """

    def __init__(self, account_key: str, wait: Callable[[OnAnswer, Alive], None]) -> None:
        super().__init__("the person has not been asked")
        self.account_key = account_key
        self.wait = wait


@dataclass(eq=False)
class _Open:
    """A question without an answer yet, and the requests that wait for it."""

    question: Question
    account_key: str
    waiting: list[tuple[OnAnswer, Alive]] = field(default_factory=list)


class Consents:
    """Thread-safe, and blocks on the store alone. `ask` is the window's: it blocks until the user has
    answered, and is called on a thread of `spawn`'s, for one question at a time; None when there is no
    window.
    """

    def __init__(
        self, store: NamedValues, settings: Callable[[], Settings], clock: Clock, spawn: Spawn
    ) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self._spawn = spawn
        self._lock = threading.Lock()
        self._open: dict[Hashable, _Open] = {}  # in the order they came
        self._asked: Hashable = None  # the one that the user sees
        self._last = ""  # the program that they were asked about last
        self._asking = False
        self.ask: Ask | None = None

    @property
    def on(self) -> bool:
        """Whether programs must be allowed by name before they get a token."""
        return self._settings().named_app_consent

    def require(self, program: Program, account_id: str, account_key: str) -> None:
        """Returns when the user allows it. Raises SettingWrong `consent_refused`, and UnansweredError when
        they have not said yet.
        """
        if self._allowed(program, account_id, account_key):
            return
        if self.ask is None:
            raise _refusal(program, account_id, "Keyfob has no window open to ask you")
        asked = _Open(Question(account_id, program), account_key)
        raise UnansweredError(account_key, lambda on_answer, alive: self._wait(asked, on_answer, alive))

    # --- asking ---------------------------------------------------------------------------------------------

    def _wait(self, asked: _Open, on_answer: OnAnswer, alive: Alive) -> None:
        """One question for a program and an account; requests for the same one share its answer."""
        program = asked.question.program
        # Two programs that the system does not identify may be different ones.
        key: Hashable = _name(asked.account_key, program) if program.executable else object()
        with self._lock:
            self._forget_gone()
            of_program = [each for each in self._open.values() if each.question.program.mark == program.mark]
            if (
                sum(len(each.waiting) for each in of_program) >= REQUESTS_OF_ONE
                or sum(len(each.waiting) for each in self._open.values()) >= REQUESTS_MOST
                or (
                    key not in self._open
                    and (len(of_program) >= QUESTIONS_OF_ONE or len(self._open) >= QUESTIONS_MOST)
                )
            ):
                raise Transient(
                    f"{program.name} is waiting for your answer to other questions",
                    code="questions_waiting",
                )
            self._open.setdefault(key, asked).waiting.append((on_answer, alive))
            start, self._asking = not self._asking, True
        if start:
            self._spawn(self._ask_all, "consent")

    def _forget_gone(self) -> None:
        """Requests whose program is gone wait for nothing, and the user is not asked about them."""
        for key, each in list(self._open.items()):
            each.waiting = [(on_answer, alive) for on_answer, alive in each.waiting if alive()]
            if not each.waiting and key != self._asked:
                del self._open[key]

    def _ask_all(self) -> None:
        while True:
            with self._lock:
                self._asked = None
                self._forget_gone()
                # In turns: a program with many questions does not put off another's only one.
                others = (k for k, each in self._open.items() if each.question.program.mark != self._last)
                key = next(others, next(iter(self._open), None))
                if key is None:
                    self._asking = False
                    return
                asked, self._asked = self._open[key], key
                self._last = asked.question.program.mark
            error = self._answer(asked)
            with self._lock:
                del self._open[key]
            for on_answer, _ in asked.waiting:
                on_answer(error)

    def _answer(self, asked: _Open) -> KeyfobError | None:
        """Ask, and keep what was said. Blocks until the user has answered."""
        program, account_id = asked.question.program, asked.question.account_id
        try:
            if self._allowed(program, account_id, asked.account_key):
                return None  # answered in the meantime
            ask = self.ask
            if ask is None:
                return _refusal(program, account_id, "Keyfob has no window open to ask you")
            reply = ask(asked.question)
            if reply is not Reply.ONCE and program.executable:  # else there is nothing to know it by again
                self._write(program, account_id, asked.account_key, reply)
            return _refusal(program, account_id, "you did not allow it") if reply is Reply.NO else None
        except KeyfobError as error:
            return error
        except Exception as bug:
            log.exception("the person could not be asked")
            return Fault(f"Keyfob could not ask you: {type(bug).__name__}")

    # --- answers --------------------------------------------------------------------------------------------

    def list(self) -> Sequence[Permission]:
        """The saved answers, oldest first. Expired ones are deleted."""
        now = self._clock()
        found = []
        for name in self._store.names(PREFIX):
            permission = self._read(name)
            if permission is None:
                continue  # a newer Keyfob may know how to read it
            if permission.stands(now):
                found.append(permission)
            else:
                self._store.write(name, None)
        return sorted(found, key=lambda permission: permission.at)

    def allow(self, program: Program, account_id: str, account_key: str, reply: Reply) -> Permission:
        """Save an answer without a question."""
        self._write(program, account_id, account_key, reply)
        permission = self._read(_name(account_key, program))
        assert permission is not None
        return permission

    def revoke(self, permission_id: str) -> None:
        """The program is asked about again the next time. Raises NotFound `permission_not_found`."""
        for permission in self.list():
            if permission.id == permission_id:
                self._store.write(PREFIX + permission_id, None)
                return
        raise NotFound("This permission does not exist", code="permission_not_found")

    def _allowed(self, program: Program, account_id: str, account_key: str) -> bool:
        """True when the user allowed it, False when they were not asked yet. Raises SettingWrong."""
        permission = self._read(_name(account_key, program))
        if permission is None or not permission.stands(self._clock()):
            return False
        if permission.reply is Reply.NO:
            raise _refusal(program, account_id, "you did not allow it")
        return True

    def _write(self, program: Program, account_id: str, account_key: str, reply: Reply) -> None:
        name = _name(account_key, program)
        now = self._clock()
        lasts = LASTS[reply]
        permission = Permission(
            id=name.removeprefix(PREFIX),
            account_id=account_id,
            account_key=account_key,
            executable=program.executable,
            script=program.script,
            reply=reply,
            at=now,
            until=None if lasts is None else now + lasts,
        )
        self._store.write(name, json.dumps({**permission.to_json(), "account_key": account_key}))

    def _read(self, name: str) -> Permission | None:
        text = self._store.read(name)
        if text is None:
            return None
        try:
            return _permission(json.loads(text))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            log.warning("a permission cannot be read: the person is asked again")
            return None


def _permission(body: dict[str, Any]) -> Permission:
    """Raises ValueError, KeyError, TypeError or AttributeError for anything that is not exactly a stored
    answer.
    """
    reply, at, until = Reply(body["reply"]), from_rfc3339(body["at"]), body["until"]
    # Only an answer "always" has no end: one whose end was lost does not count.
    if at is None or (until is None) is not (LASTS[reply] is None):
        raise ValueError("no end")
    return Permission(
        id=body["id"],
        account_id=body["account"],
        account_key=body["account_key"],
        executable=body["executable"],
        script=body["script"],
        reply=reply,
        at=at,
        until=None if until is None else from_rfc3339(until) or at,
    )


def _name(account_key: str, program: Program) -> str:
    return f"{PREFIX}{account_key}-{program.mark}"


def _refusal(program: Program, account_id: str, reason: str) -> SettingWrong:
    return SettingWrong(
        f"{plain(program.name, 60)} may not use the token of {account_id}: {reason}",
        code="consent_refused",
        facts={"name": program.command, "account": account_id} if program.executable else {},
    )
