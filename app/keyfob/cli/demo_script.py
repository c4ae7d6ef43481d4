"""The demo in the terminal: the life of an account, with real services and a real authorization server.

It uses a temporary home, so that it touches no account of the user and can run several times at once. It uses
the real keychain if there is one, and removes what it saved there at the end.
"""

from __future__ import annotations

import tempfile
import threading
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from keyfob.cli.session import Session
from keyfob.core.account import AccountView
from keyfob.core.errors import Fault, KeyfobError, SignInEnded, SignInNeeded
from keyfob.core.resources import resources
from keyfob.core.time_words import short_span
from keyfob.demo.scripted_browser import ScriptedBrowser
from keyfob.demo.server import DemoServer
from keyfob.service.accounts.views import Progress, SignInRequest

if TYPE_CHECKING:
    from keyfob.engine import Engine

LIFETIME = 5  # seconds an access token lives here: long enough to see, short enough to wait for
RENEWALS = 2
PATIENCE = 60.0  # seconds for one step; it takes a few


def run(session: Session) -> None:
    """Run the demo. Raises what a step raises; whatever happens, the home, the server and the keychain's
    entries are gone at the end.
    """
    with tempfile.TemporaryDirectory(prefix="keyfob-demo-", ignore_cleanup_errors=True) as folder:
        home = Path(folder) / "home"
        home.mkdir(mode=0o700)
        cancelled = threading.Event()
        server = DemoServer(Path(folder) / "provider", port=0, access_lifetime=LIFETIME).start()
        session.say("Keyfob's demo: the life of an account at a provider on this computer.")
        try:
            _write_preset(home, server.issuer)
            engine = _engine(session, home)
            try:
                session.finish(_Story(session, engine, server).play, stop=lambda: _stop(server, cancelled))
            except KeyfobError:
                if cancelled.is_set():
                    raise SignInEnded("The demo was cancelled") from None
                raise
            finally:
                _clean_up(engine)
                engine.close()
        finally:
            server.stop()


def _stop(server: DemoServer, cancelled: threading.Event) -> None:
    """Ends the demo soon: without its provider, the current step fails."""
    cancelled.set()
    server.stop()


def _write_preset(home: Path, issuer: str) -> None:
    """The demo's preset, for a server on whatever port was free."""
    text = (resources() / "demo" / "demo.toml").read_text(encoding="utf-8")
    text = text.replace("http://127.0.0.1:9899", issuer).replace('port = "setting"', 'port = "any"')
    folder = home / "config" / "providers"
    folder.mkdir(mode=0o700, parents=True)
    (folder / "demo.toml").write_text(text, encoding="utf-8")


def _engine(session: Session, home: Path) -> Engine:
    engine = session.open_engine(home)
    health = session.finish(engine.vault.probe)
    if health.ok and health.persistent:
        session.say(f"Keyfob saves secrets in {health.name}, and removes them at the end.")
        return engine
    engine.close()
    # On one stream, so that the story stays in order in a pipe.
    why = f" ({health.message})" if health.message else ""
    session.say(f"No keychain is available here{why}, so secrets stay in memory during the demo.")
    return session.open_engine(home, in_memory=True)


def _clean_up(engine: Engine) -> None:
    for view in engine.accounts.views():
        try:
            engine.accounts.remove(view.key, local=True)
        except KeyfobError:
            continue  # the demo's own failure is the one to report


class _Story:
    def __init__(self, session: Session, engine: Engine, server: DemoServer) -> None:
        self._session = session
        self._engine = engine
        self._server = server
        self._step = 0

    def play(self) -> None:
        accounts = self._engine.accounts
        say = self._session.say

        self._chapter("Connect")
        view = self._sign_in(SignInRequest("demo"))
        say(f"   Connected as {view.name}: {view.id}")

        self._chapter("Use")
        token = accounts.token(view.key)
        say(
            f"   `keyfob token {view.id}` prints a token of {len(token.token)} characters, valid for "
            f"{LIFETIME} s."
        )
        result = accounts.test(view.key)
        say(f"   The provider says who the token belongs to: {result.name}.")

        for number in range(RENEWALS):
            self._chapter("Renew automatically" if number == 0 else "And again")
            self._wait_for_renewal(view)

        self._chapter("The provider revokes the grant")
        self._server.revoke_everything("alice")
        try:
            accounts.renew(view.key)
        except SignInNeeded as error:
            say(f"   {error.message}. The account now needs you to sign in.")
        else:
            raise Fault("Keyfob renewed a revoked grant")

        self._chapter("Reconnect")
        view = self._sign_in(SignInRequest("demo", account=view.key))
        say(f"   {view.id} is connected again, under the same id.")

        self._chapter("Disconnect")
        ended = accounts.disconnect(view.key)
        ending = (
            "the provider confirmed the revocation" if ended.revoked == "yes" else f"revoked: {ended.revoked}"
        )
        say(f"   The tokens are deleted here, and {ending}.")
        counted = self._server.counters
        say("")
        say(
            f"Done: {counted.get('allowed', 0)} sign-ins, {counted.get('renewals', 0)} renewals, "
            "no password and no token in any file."
        )

    def _chapter(self, title: str) -> None:
        self._step += 1
        self._session.say("")
        self._session.say(f"{self._step}. {title}")

    def _sign_in(self, request: SignInRequest) -> AccountView:
        """As a user would, but that the browser is a scripted one."""
        say = self._session.say
        attempt = self._engine.sign_in.begin(
            SignInRequest(request.provider, account=request.account, open_browser=False, timeout=PATIENCE)
        )
        opened = threading.Event()

        def visit(progress: Progress) -> None:
            if progress.stage == "waiting" and progress.url is not None and not opened.is_set():
                opened.set()
                url = progress.url.reveal()
                say(
                    f"   Waiting at {progress.redirect_uri}. A scripted browser signs in as Alice and "
                    "allows access …"
                )
                threading.Thread(target=lambda: self._visit(url), name="visitor", daemon=True).start()

        forget = attempt.observe(visit)
        try:
            return self._engine.sign_in.run(attempt, _spawn)
        finally:
            forget()

    def _visit(self, url: str) -> None:
        try:
            ScriptedBrowser().sign_in(url, "alice")
        except (OSError, RuntimeError) as error:
            self._session.note(f"The scripted browser gave up: {type(error).__name__}")

    def _wait_for_renewal(self, view: AccountView) -> None:
        """The renewer alone does the work, as in the app."""
        accounts, now = self._engine.accounts, self._session.now
        before = accounts.view(view.key)
        old = accounts.token(view.key, min_life=timedelta(0)).token.fingerprint()
        if before.renews_at is not None:
            self._session.say(
                f"   Nothing to do: Keyfob renews the token in {short_span(before.renews_at - now())} …"
            )
        end = now() + timedelta(seconds=PATIENCE)
        pause = threading.Event()
        while now() < end:
            wait = min(self._engine.renewer.tick(), timedelta(seconds=1))
            fresh = accounts.view(view.key)
            if fresh.last_renewed_at != before.last_renewed_at and fresh.status == "connected":
                new = accounts.token(view.key, min_life=timedelta(0)).token.fingerprint()
                if new != old:
                    self._session.say("   Renewed: a new token, without asking you.")
                    return
            pause.wait(max(wait.total_seconds(), 0.1))
        raise Fault("Keyfob did not renew the token in time")


def _spawn(work: object, name: str) -> None:
    assert callable(work)
    threading.Thread(target=work, name=name, daemon=True).start()
