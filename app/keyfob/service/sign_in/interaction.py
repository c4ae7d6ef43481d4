"""What a flow needs the user for: a browser and its way back, and a code
to show. Also takes charge of what a flow received.

The methods use it. It changes the attempt's progress, which the faces show.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial

from keyfob.core.errors import SettingWrong, SignInEnded
from keyfob.core.grant import Grant
from keyfob.core.http import Callback
from keyfob.core.secret import Secret
from keyfob.core.settings import Settings
from keyfob.ports import Browser, Clock, Listener, Listeners
from keyfob.protocol.context import FlowContext
from keyfob.protocol.effects import Expectation, ShowCode
from keyfob.service.contexts import ClientSecrets
from keyfob.service.runner import EffectHandlers
from keyfob.service.sign_in.attempt import Attempt, UnsavedGrant
from keyfob.service.sign_in.prepared import PreparedSignIn


class Interaction:
    """Blocking and thread-safe."""

    def __init__(
        self, listeners: Listeners, browser: Browser, settings: Callable[[], Settings], clock: Clock
    ) -> None:
        self._listeners = listeners
        self._browser = browser
        self._settings = settings
        self._clock = clock

    def listen(self, ready: PreparedSignIn) -> Listener:
        """Bound before the browser opens, so that no other program can take the port in between. Raises
        SignInEnded if the attempt was cancelled before, and what `Listeners.bind` raises.
        """
        if ready.attempt.cancelled.is_set():
            raise SignInEnded("The sign-in was cancelled")
        redirect = ready.provider.redirect
        # The redirected address may always be pasted: another machine's
        # browser, a sandboxed one, one that is https only.
        profile = replace(redirect, paste=redirect.paste or "url")
        listener = self._listeners.bind(profile, setting_port=self._settings().callback_port)
        ready.attempt.host(listener, ready.spawn)
        ready.attempt.advance(stage="ready", redirect_uri=listener.redirect_uri)
        return listener

    def handlers(self, attempt: Attempt, context: FlowContext, secrets: ClientSecrets) -> EffectHandlers:
        """For a flow that no browser comes back to. What it keeps is given
        back if the attempt fails from then on.
        """

        def keep(grant: Grant) -> None:
            attempt.received = UnsavedGrant(grant, context, secrets)

        return EffectHandlers(
            keep=keep,
            open_browser=partial(self.open_browser, attempt, plain_host=context.provider.plain_host),
            show_code=partial(_show_code, attempt),
            step=lambda stage: attempt.advance(stage=stage),
        )

    def handlers_with(
        self, listener: Listener, attempt: Attempt, context: FlowContext, secrets: ClientSecrets
    ) -> EffectHandlers:
        """For a flow whose browser comes back to `listener`."""
        to_open: list[Secret] = []

        def await_callback(expectation: Expectation) -> Callback:
            listener.expect(expectation)
            while to_open:
                self.open_browser(attempt, to_open.pop(), context.provider.plain_host)
            span = timedelta(seconds=attempt.request.timeout)
            attempt.advance(stage="waiting", deadline=self._clock() + span)
            callback = listener.wait(deadline=span, cancel=attempt.cancelled)
            attempt.called_back()
            attempt.advance(stage="checking")
            return callback

        # A browser that is signed in already comes back at once, while its launcher is still watched: it is
        # opened only when its answer is expected.
        return replace(
            self.handlers(attempt, context, secrets),
            open_browser=to_open.append,
            await_callback=await_callback,
        )

    def open_browser(self, attempt: Attempt, url: Secret, plain_host: str | None = None) -> None:
        """Open `url`, or leave it to the user if they asked for that or there is no browser here.
        `plain_host`: the host that may be opened without TLS. Raises SettingWrong for a browser setting that
        cannot be used.
        """
        attempt.advance(stage="browser", url=url)
        if not attempt.request.open_browser:
            attempt.advance(browser_opened=None)
            return
        try:
            if plain_host is None:
                self._browser(url.reveal())
            else:
                self._browser(url.reveal(), plain_host)
        except SettingWrong as error:
            if error.code != "browser_failed":
                raise
            # No browser here: the link can be copied to another one, so this is not an end yet.
            attempt.advance(browser_opened=False)
        else:
            attempt.advance(browser_opened=True)


def _show_code(attempt: Attempt, code: ShowCode) -> None:
    attempt.advance(
        stage="code",
        user_code=code.user_code,
        verification_uri=code.verification_uri,
        verification_uri_complete=code.verification_uri_complete,
        url=Secret(code.verification_uri_complete or code.verification_uri),
        deadline=code.expires_at,
    )
