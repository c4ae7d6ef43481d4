"""Named-app consent: the person is asked once which program may have an account's token, and can take it back.

Off unless the switch in Settings is on. Called by the agent before it hands out a token, on the thread of the request.
Without anybody to ask (no window), the answer is no.

What this can and cannot do is told where the switch is: it shows and limits what asks through the agent. It is no wall
between programs of one person: they can start each other, write into each other's memory and files, and a command that
works without an agent does not ask at all.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Sequence
from typing import Any

from keyfob.core.consent import LASTS, Permission, Program, Question, Reply
from keyfob.core.errors import NotFound, SettingWrong
from keyfob.core.settings import Settings
from keyfob.core.text import plain
from keyfob.core.times import from_rfc3339
from keyfob.ports import AccountStore, Clock

log = logging.getLogger(__name__)

PREFIX = "consent/"
Ask = Callable[[Question], Reply]


class Consents:
    """Thread-safe. `ask` is the window's: it blocks until the person has answered, and is called from any thread, for one
    question at a time; None where there is no window."""

    def __init__(self, store: AccountStore, settings: Callable[[], Settings], clock: Clock) -> None:
        self._store = store
        self._settings = settings
        self._clock = clock
        self._asking = threading.Lock()
        self.ask: Ask | None = None

    @property
    def on(self) -> bool:
        return self._settings().named_app_consent

    def require(self, program: Program, account_id: str, account_key: str) -> None:
        """Returns where the person allows it; may block while they are asked. Raises SettingWrong `consent_refused`."""
        name = _name(account_key, program)
        if self._allowed(name, program, account_id):
            return
        # One question at a time, and who waited for the same one takes its answer.
        with self._asking:
            if self._allowed(name, program, account_id):
                return
            ask = self.ask
            if ask is None:
                raise _refusal(program, account_id, "there is no window to ask you in")
            reply = ask(Question(account_id, program))
            if LASTS[reply] is None and not program.executable:
                reply = Reply.ONCE  # nothing to know it by again
            if reply is not Reply.ONCE and program.executable:
                self._write(name, program, account_id, account_key, reply)
            if reply is Reply.NO:
                raise _refusal(program, account_id, "you said no")

    def list(self) -> Sequence[Permission]:
        """The standing answers, oldest first; those that ran out are forgotten on the way."""
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

    def revoke(self, permission_id: str) -> None:
        """The program is asked about again the next time. Raises NotFound `permission_not_found`."""
        for permission in self.list():
            if permission.id == permission_id:
                self._store.write(PREFIX + permission_id, None)
                return
        raise NotFound("There is no such permission", code="permission_not_found")

    def _allowed(self, name: str, program: Program, account_id: str) -> bool:
        """True where the person allowed it, False where they were not asked yet. Raises SettingWrong."""
        permission = self._read(name)
        if permission is None or not permission.stands(self._clock()):
            return False
        if permission.reply is Reply.NO:
            raise _refusal(program, account_id, "you said no")
        return True

    def _write(self, name: str, program: Program, account_id: str, account_key: str, reply: Reply) -> None:
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
    """Raises ValueError, KeyError, TypeError or AttributeError for anything that is not exactly a stored answer."""
    reply, at, until = Reply(body["reply"]), from_rfc3339(body["at"]), body["until"]
    # Only an answer that was given for good has no end: one whose end was lost has not been given.
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
        f"{plain(program.name, 60)} may not have the token of {account_id}: {reason}", code="consent_refused"
    )
