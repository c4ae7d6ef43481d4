"""Web sign-in as one object: what an application makes once, and every face of it uses."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from keyfob.core.account import Record
from keyfob.core.errors import KeyfobError
from keyfob.core.provider import Provider
from keyfob.engine import WebPorts, memory_vault, web_ports
from keyfob.gateway.auth.tables import close_database, open_database
from keyfob.gateway.web.calls import Calls
from keyfob.gateway.web.client_keys import ClientKeySet
from keyfob.gateway.web.clients import Clients
from keyfob.gateway.web.cookies import SESSION, Cookies, clearing, new_id
from keyfob.gateway.web.database import database
from keyfob.gateway.web.documents import client_metadata
from keyfob.gateway.web.events import Events, Observer, SessionEvent
from keyfob.gateway.web.outside import Codec
from keyfob.gateway.web.registrations import Registrations
from keyfob.gateway.web.renewals import Renewals
from keyfob.gateway.web.revoking import Revoking
from keyfob.gateway.web.sealing import Sealer
from keyfob.gateway.web.sessions import SessionKey, Sessions, Stored
from keyfob.gateway.web.settings import AppRegistration, WebSettings
from keyfob.gateway.web.sign_ins import Finished, SignIns
from keyfob.gateway.web.states import States, hashed
from keyfob.gateway.web.tables import FORMAT, MIGRATIONS
from keyfob.gateway.web.visitors import ENDED, Ended, SignedIn, Visitor
from keyfob.protocol.env import FlowEnv
from keyfob.service.contexts import ContextBuilder
from keyfob.service.runner import Runner

log = logging.getLogger("keyfob.gateway.web")
TEND_EVERY = 30.0  # seconds
NOTE_USE_EVERY = timedelta(minutes=5)  # one write at most, however many requests
SET_AGAIN_AFTER = timedelta(days=1)  # the cookie, so that it does not end while it is used
THREADS = 32
VISIT_THREADS = 8


class WebSignIn:
    """Sign-in ("Sign in with …") for one application, on any number of servers with one database.

    Thread-safe. Methods block, so an event loop calls them through `executor`, and `visit` through
    `visits`. Make it once, before or after a server forks, and `close` it at the end.
    """

    def __init__(
        self,
        settings: WebSettings,
        database_url: str,
        *,
        client_keys: ClientKeySet | None = None,
        observers: Sequence[Observer] = (),
        presets: Path = Path("keyfob-presets"),
        ports: WebPorts | None = None,
    ) -> None:
        """`database_url`: `sqlite:////path/file.db` or `postgresql://…`; its tables are made. `observers` are
        called with each SessionEvent, on the thread that made it. `presets`: a folder with a `providers/` of
        your own presets. Raises SettingWrong, Transient if the database cannot be reached.
        """
        self.settings = settings
        self.client_keys = client_keys or ClientKeySet()
        self.cookies = Cookies(settings.keys)
        sealer = Sealer(settings.keys, "database")
        self._ports = ports = ports or web_ports(database_url, presets)
        for app in settings.apps:
            ports.presets.get(app.provider)
        self._database = open_database(database_url, MIGRATIONS)
        codec = Codec(ports.dumps, ports.load)
        self._env = env = FlowEnv(lambda: ports.entropy(16), ports.clock)
        runner, api_runner = Runner(ports.transport), Runner(ports.api)
        registrations = Registrations(settings, self._database, sealer, runner, env, ports.locks)
        contexts = ContextBuilder(ports.presets, memory_vault(), env)
        clients = Clients(settings, self.client_keys, contexts, env, registrations)
        self._states = States(self._database, sealer, codec)
        self.sessions = Sessions(self._database, sealer, codec)
        self._events = Events(tuple(observers))
        self.renewals = Renewals(settings, clients, self.sessions, runner, env, ports.locks, self._events)
        self._revoking = Revoking(runner, env)
        self.sign_ins = SignIns(settings, ports, runner, env, clients, self._states, self._revoking)
        self._calls = Calls(settings, clients, self.renewals, api_runner, env)
        # Two: slow providers must not keep requests waiting that only ask who it is.
        self.executor = ThreadPoolExecutor(THREADS, thread_name_prefix="web-sign-in")
        self.visits = ThreadPoolExecutor(VISIT_THREADS, thread_name_prefix="web-visit")
        self._stopping = threading.Event()
        self._tending: threading.Thread | None = None
        self._guard = threading.Lock()
        self._warn_of_missing_keys()
        close_database(self._database)  # a server that forks now hands no open connection on

    # --- requests -------------------------------------------------------------------------------------------

    @property
    def cookie_age(self) -> int:
        """Seconds that a session's cookie lives; each day of use sets it anew."""
        return int(self.settings.unused_for.total_seconds())

    def visit(self, cookie_header: str | None) -> tuple[Visitor, tuple[str, ...]]:
        """Who sends a request with this `Cookie` header, and the `Set-Cookie` values for the response. Raises
        Transient if the database cannot be used.
        """
        found = self.cookies.read(cookie_header, SESSION)
        if found is None:
            return self._visitor(None), ()
        with database():
            stored = self.sessions.find(hashed(found.id))
            if stored is None:
                return self._visitor(None), (clearing(SESSION),)
            if stored.format > FORMAT:  # a newer version of the application runs beside this one
                return self._visitor(None), ()
            ended = self._why_ended(stored)
            if ended is not None:
                self.sessions.forget(stored.key)
                return self._visitor(None, ended), (clearing(SESSION),)
            age = self._env.now() - stored.used_at
            if age >= NOTE_USE_EVERY and stored.grant is not None:
                now = self._env.now()
                self.sessions.touch(stored.key, now, self.renewals.due(stored.key, stored.grant, now))
        again = found.old or age >= SET_AGAIN_AFTER
        cookies = (self.cookies.setting(SESSION, found.id, self.cookie_age),) if again else ()
        return self._visitor(stored), cookies

    def _why_ended(self, stored: Stored) -> Ended | None:
        """Why the browser has to sign in again. It is said once, as the row goes then."""
        why = stored.ended_why
        if why is None and stored.format < FORMAT:
            why = "older_format"
        elif why is None and stored.record is None:
            why = "unreadable"
        if why is None:
            return None
        if stored.ended_why is None:
            key = stored.key
            self._events.publish(SessionEvent("deleted", stored.app, key.subject, key.id, why))
        return Ended(stored.app, why, ENDED[why])

    def _visitor(self, stored: Stored | None, ended: Ended | None = None) -> Visitor:
        prefix = self.settings.prefix
        session = None if stored is None or stored.record is None else _signed_in(stored, stored.record)
        key = stored.key if stored is not None else None
        return Visitor(session, ended, f"{prefix}/out", prefix, key, self._calls.call, self.executor)

    def store(self, finished: Finished, cookie_header: str | None) -> str:
        """A new session for a sign-in, with an id that nobody knew before; returns what the cookie is to
        hold. The browser's session until now ends. Raises Transient: the tokens are revoked then.
        """
        session_id, now = new_id(), self._env.now()
        key = SessionKey(hashed(session_id), finished.record.account.subject)
        due = self.renewals.due(key, finished.grant, now)
        try:
            with database():
                self.sessions.add(
                    key, finished.app, finished.record, finished.grant, finished.client, now, due
                )
        except KeyfobError:
            self._revoking.revoke_quietly(finished.context, finished.grant)
            raise
        self._events.publish(SessionEvent("created", finished.app, key.subject, key.id))
        self._end_of(cookie_header, "replaced")
        return session_id

    def sign_out(self, cookie_header: str | None) -> None:
        """End the browser's session and revoke its tokens. Raises Transient."""
        self._end_of(cookie_header, "signed_out")

    def _end_of(self, cookie_header: str | None, why: str) -> None:
        found = self.cookies.read(cookie_header, SESSION)
        if found is None:
            return
        with database():
            stored = self.sessions.find(hashed(found.id))
            if stored is None:
                return
            self.renewals.end(stored, why, revoke=True)
        self.executor.submit(self._settled, stored.key)

    def _settled(self, key: SessionKey) -> None:
        try:
            found = self.sessions.get(key)
            if found is not None and found.ended_why is not None and found.grant is not None:
                self.renewals.settle(found)
        except SQLAlchemyError as error:
            log.warning("tokens are revoked later: %s", type(error).__name__)

    def end_sessions(self, subject: str) -> int:
        """End each session of one person, and revoke its tokens; returns how many there were. Raises
        Transient.
        """
        with database():
            found = self.sessions.of_subject(subject)
            for stored in found:
                self.renewals.end(stored, "ended", revoke=True)
        for stored in found:
            self.executor.submit(self._settled, stored.key)
        return len(found)

    # --- documents ------------------------------------------------------------------------------------------

    def preset(self, app: AppRegistration) -> Provider:
        """The preset of an app registration. Raises NotFound, SettingWrong."""
        return self._ports.presets.get(app.provider)

    def jwks(self) -> dict[str, Any]:
        """The public keys."""
        return self.client_keys.published()

    def client_metadata(self) -> dict[str, Any]:
        """The client metadata document. Raises NotFound if no app registration uses it."""
        presets = [(app, self.preset(app)) for app in self.settings.apps]
        return client_metadata(self.settings, self.client_keys, presets, self._env.now())

    def bound_sessions(self) -> dict[str, int]:
        """How many living sessions need each client key. Raises Transient."""
        with database():
            return self.sessions.client_keys()

    def _warn_of_missing_keys(self) -> None:
        for kid, count in self.bound_sessions().items():
            if self.client_keys.get(kid) is None:
                log.warning(
                    "The client key %s is not in the set. Sessions that began with it will end: %s",
                    kid,
                    count,
                )

    # --- on the side ----------------------------------------------------------------------------------------

    def start(self) -> None:
        """Renew ahead and clean up on a thread of its own, from now on. The middlewares call it."""
        with self._guard:
            if self._tending is None and not self._stopping.is_set():
                self._tending = threading.Thread(target=self._tend_on, name="web-sign-in", daemon=True)
                self._tending.start()

    def _tend_on(self) -> None:
        while not self._stopping.wait(TEND_EVERY):
            try:
                self.tend()
            except KeyfobError as error:
                log.warning("sessions are renewed later: %s", error.code)
            except Exception:
                log.exception("tending sessions failed")

    def tend(self) -> None:
        """One round: sweep states, renew what is due, end what nobody uses, revoke. Raises Transient."""
        with database():
            self.renewals.tend(self._states)

    def close(self) -> None:
        """Ends what was started, after what has begun."""
        self._stopping.set()
        if self._tending is not None:
            self._tending.join()
        self.executor.shutdown(wait=True)
        self.visits.shutdown(wait=True)
        close_database(self._database)
        self._ports.close()


def _signed_in(stored: Stored, record: Record) -> SignedIn:
    account = record.account
    return SignedIn(
        app=stored.app,
        provider=account.provider,
        subject=stored.key.subject,
        name=account.name,
        username=account.label,
        email=account.email,
        avatar_url=account.avatar_url,
        scopes=stored.grant.scopes if stored.grant else (),
        signed_in_at=stored.created_at,
    )
