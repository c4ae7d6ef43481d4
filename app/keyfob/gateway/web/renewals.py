"""Keeps sessions alive: renews tokens under a lock across machines, ends what has ended, and revokes what
nobody uses.

A renewal follows the same rules as an account's: what the provider gave is saved before anything in it is
checked, and a refresh token is sent once. If saving fails, the grant is kept in memory and saved with the
next call.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import replace
from datetime import datetime, timedelta

from sqlalchemy.exc import SQLAlchemyError

from keyfob.core.errors import KeyfobError, PeerFault, SignInNeeded, Transient
from keyfob.core.grant import Grant
from keyfob.core.renewal import backoff, jitter_of, renews_at, serves
from keyfob.core.secret import Secret
from keyfob.gateway.web.clients import Clients
from keyfob.gateway.web.database import database
from keyfob.gateway.web.events import Events, SessionEvent
from keyfob.gateway.web.revoking import Revoking
from keyfob.gateway.web.sessions import SessionKey, Sessions, Stored
from keyfob.gateway.web.settings import WebSettings
from keyfob.gateway.web.states import States
from keyfob.ports import Locks
from keyfob.protocol.env import FlowEnv
from keyfob.protocol.oauth.renewal import renew
from keyfob.service.runner import EffectHandlers, Runner

log = logging.getLogger("keyfob.gateway.web")
LOCK_WAIT = timedelta(seconds=60)  # longer than one renewal takes
MARGIN = timedelta(minutes=10)  # before a token's end, at most
AT_ONCE = 100  # sessions in one round
ENDED_FOR = timedelta(days=30)  # so long a browser may still learn why its session ended
REVOKE_FOR = timedelta(days=7)  # so long the provider is asked
ANSWER_WITHIN = timedelta(minutes=2)  # so long another server may have an answer that is not saved
REVOKE_AGAIN = timedelta(minutes=10)


class Renewals:
    """Blocking and thread-safe."""

    def __init__(
        self,
        settings: WebSettings,
        clients: Clients,
        sessions: Sessions,
        runner: Runner,
        env: FlowEnv,
        locks: Locks,
        events: Events,
    ) -> None:
        self._settings, self._clients, self._sessions = settings, clients, sessions
        self._runner, self._env, self._locks, self._events = runner, env, locks, events
        self._revoking = Revoking(runner, env)
        self._unsaved: dict[SessionKey, tuple[int, Grant]] = {}
        self._failures: dict[SessionKey, int] = {}
        self._guard = threading.Lock()

    # --- tokens ---------------------------------------------------------------------------------------------

    def fresh(self, key: SessionKey, *, rejected: Secret | None = None) -> Stored:
        """The session with an access token that lives, renewed if it is due. `rejected`: a token that the API
        refused. Raises SignInNeeded if the session has ended, Transient, SettingWrong, PeerFault.
        """
        with database():
            found = self._living(key)
            if self._serves(found, rejected):
                return found
        with self._locks.hold(_lock_of(key), timeout=LOCK_WAIT), database():
            found = self._living(key)
            if self._serves(found, rejected):
                return found  # another thread or server has renewed it
            return self._renewed(found)

    def _serves(self, found: Stored, rejected: Secret | None) -> bool:
        grant = found.grant
        assert grant is not None
        if rejected is not None and grant.access == rejected:
            return False
        return serves(grant, self._env.now(), None)

    def _living(self, key: SessionKey) -> Stored:
        self._save_late(key)
        found = self._sessions.get(key)
        if found is None or found.ended_why is not None or found.record is None or found.grant is None:
            raise SignInNeeded("This session has ended", code="grant_ended")
        return found

    def _renewed(self, found: Stored) -> Stored:
        """Under the lock."""
        record, grant = found.record, found.grant
        assert record is not None
        assert grant is not None
        if not grant.renewable:
            if grant.expired(self._env.now()):
                self.end(found, "expired", revoke=False)
                raise SignInNeeded("This session has expired", code="token_expired")
            return found
        now = self._env.now()
        if found.sent_at is not None and now - found.sent_at < ANSWER_WITHIN:
            # Another server has the answer, and the database did not take it: to send the token again now
            # could end the session.
            if grant.expired(now):
                raise Transient("Another server is renewing this session", code="busy")
            return found
        app = self._settings.app(found.app)
        context = self._clients.context(app, record, found.client, grant.key)
        generation = grant.generation
        # Written before anything is sent, so a database that takes nothing is noticed in time.
        if not self._sessions.sending(found.key, generation, now):
            return self._living(found.key)

        def keep(new: Grant) -> None:
            nonlocal generation
            self._save(found.key, new, generation, found.used_at)
            generation = new.generation

        flow = renew(context, grant, subject=record.account.subject)
        try:
            self._runner.run(flow, EffectHandlers(keep=keep))
        except SignInNeeded as ended:
            self._sessions.sending(found.key, generation, None)
            if ended.code == "grant_ended":
                self.end(found, "provider", revoke=False)
            raise
        except (Transient, PeerFault) as failed:
            self._sessions.sending(found.key, generation, None)
            self._put_off(found, failed)
            still = self._living(found.key)
            if still.grant is not None and not still.grant.expired(self._env.now()):
                return still  # it was renewed ahead, and the old token lives
            raise
        self._failures.pop(found.key, None)
        self._events.publish(SessionEvent("updated", found.app, found.key.subject, found.key.id))
        return self._living(found.key) if found.key not in self._unsaved else self._with_unsaved(found)

    def _with_unsaved(self, found: Stored) -> Stored:
        return replace(found, grant=self._unsaved[found.key][1])

    def _save(self, key: SessionKey, grant: Grant, replaces: int, used_at: datetime) -> None:
        try:
            saved = self._sessions.save_grant(key, grant, replaces, self.due(key, grant, used_at))
        except SQLAlchemyError as error:
            with self._guard:
                first = self._unsaved.get(key, (replaces, grant))[0]
                self._unsaved[key] = (first, grant)
            log.error("a renewed session could not be saved yet: %s", type(error).__name__)
            return
        if not saved:
            log.warning("a session ended while it was renewed, or another server renewed it too")

    def _save_late(self, key: SessionKey) -> None:
        with self._guard:
            waiting = self._unsaved.get(key)
        if waiting is None:
            return
        replaces, grant = waiting
        self._sessions.save_grant(key, grant, replaces, self.due(key, grant, self._env.now()))
        with self._guard:
            if self._unsaved.get(key) == waiting:
                del self._unsaved[key]

    def _put_off(self, found: Stored, failed: KeyfobError) -> None:
        count = self._failures[found.key] = self._failures.get(found.key, 0) + 1
        wait = failed.retry_after or backoff(count, jitter_of(found.key.id))
        self._sessions.put_off(found.key, self._env.now() + wait)

    def due(self, key: SessionKey, grant: Grant, used_at: datetime) -> datetime | None:
        """When the session is renewed ahead: before its token ends while somebody uses it, else to keep it
        alive.
        """
        at = renews_at(grant, MARGIN, jitter_of(key.id))
        if at is None or at <= used_at + self._settings.active_for:
            return at
        return max(at, grant.obtained_at + self._settings.keep_alive)

    # --- ends -----------------------------------------------------------------------------------------------

    def end(self, found: Stored, why: str, *, revoke: bool) -> None:
        """End a session. Its tokens are revoked by `settle`, if they are to be. Raises SQLAlchemyError."""
        with self._guard:
            self._failures.pop(found.key, None)
            self._unsaved.pop(found.key, None)
        if self._sessions.end(found.key, why, self._env.now(), revoke=revoke):
            self._events.publish(SessionEvent("deleted", found.app, found.key.subject, found.key.id, why))

    def settle(self, found: Stored) -> None:
        """Revoke the tokens of a session that has ended. Raises SQLAlchemyError; what the provider does not
        do now is tried again.
        """
        if found.record is not None and found.grant is not None:
            try:
                app = self._settings.app(found.app)
                context = self._clients.context(app, found.record, found.client, found.grant.key)
                self._revoking.revoke(context, found.grant)
            except Transient:
                now = self._env.now()
                if found.ended_at is not None and found.ended_at > now - REVOKE_FOR:
                    self._sessions.put_off(found.key, now + REVOKE_AGAIN)
                    return
            except KeyfobError as error:
                log.warning("the tokens of a session were not revoked: %s", error.code)
        self._sessions.revoked(found.key)

    # --- on the side ----------------------------------------------------------------------------------------

    def tend(self, states: States) -> None:
        """One round: sweep states, renew what is due, end what nobody uses, revoke. Raises nothing but
        SQLAlchemyError.
        """
        now = self._env.now()
        states.sweep(now)
        for key in list(self._unsaved):
            self._save_late(key)
        for found in self._sessions.unused(now - self._settings.unused_for, AT_ONCE):
            self.end(found, "unused", revoke=True)
        for found in self._sessions.to_revoke(now, AT_ONCE):
            self.settle(found)
        for found in self._sessions.due(now, AT_ONCE):
            self._renew_ahead(found)
        self._sessions.reseal(AT_ONCE)
        self._sessions.sweep(now - ENDED_FOR)

    def _renew_ahead(self, found: Stored) -> None:
        if found.record is None or found.grant is None:
            self._sessions.put_off(found.key, None)  # its browser learns it when it comes
            return
        try:
            with self._locks.hold(_lock_of(found.key), timeout=timedelta(0)):
                now = self._sessions.get(found.key)
                if now is None or now.grant is None or now.ended_why is not None:
                    return
                if now.grant.generation == found.grant.generation:
                    self._renewed(now)
        except Transient as busy:
            if busy.code != "busy":
                log.info("a session is not renewed yet: %s", busy.code)
        except KeyfobError as error:
            log.warning("a session cannot be renewed: %s", error.code)
            if error.code != "grant_ended":
                self._sessions.put_off(found.key, self._env.now() + timedelta(minutes=30))


def _lock_of(key: SessionKey) -> str:
    """Some sessions share a lock, so that there are no more than 4096, however many sessions come and go."""
    return f"web-session-{key.id[:3]}"
