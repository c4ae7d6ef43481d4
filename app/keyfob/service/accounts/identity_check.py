"""Tests an account's token: asks its provider who it belongs to, and compares the answer with the account."""

from __future__ import annotations

from datetime import timedelta
from functools import partial

from keyfob.core.account import NeedsSignIn, Record, refused_in_test
from keyfob.core.errors import KeyfobError, PeerFault, SignInNeeded, Transient, Usage
from keyfob.core.facts import Facts
from keyfob.core.grant import Grant
from keyfob.core.methods import METHOD_FACTS, holds_key
from keyfob.core.transitions import RefusalDoubted, TokenAccepted, after
from keyfob.ports import AccountRecords
from keyfob.protocol import identity
from keyfob.protocol.context import Identity
from keyfob.protocol.env import FlowEnv
from keyfob.service.accounts.keeper import Keeper
from keyfob.service.accounts.views import TestResult
from keyfob.service.contexts import ContextBuilder
from keyfob.service.events import EventBus
from keyfob.service.runner import Runner

TOGETHER = timedelta(minutes=1)


class IdentityCheck:
    """Blocking and thread-safe."""

    def __init__(
        self,
        store: AccountRecords,
        keeper: Keeper,
        contexts: ContextBuilder,
        runner: Runner,
        events: EventBus,
        env: FlowEnv,
    ) -> None:
        self._store = store
        self._keeper = keeper
        self._contexts = contexts
        self._runner = runner
        self._events = events
        self._env = env

    def run(self, record: Record) -> TestResult:
        """The provider's who-am-I with the account's token, renewed first if needed. A 401 replaces the token
        once. A token that cannot be renewed is sent once more, and if it is refused again, the account needs
        its user (SignInNeeded `key_rejected` or `token_rejected`) until a test passes, unless another
        account's was refused in the same minute (Transient `refused_together`). If there is no such
        request, the token is renewed, which the provider does only for a grant that has not ended. Updates
        name, avatar and ctx. Raises what Keeper.grant raises, PeerFault `subject_mismatch`.
        """
        started = self._env.now()
        if self._test_by_renewing(record):
            self._keeper.grant(record.account.key, min_life=timedelta(0), force=True)
            who = Identity(record.account.subject, record.account.name)
        else:
            who = self._ask(record)
        took = self._env.now() - started
        nameless = who.subject.startswith(identity.UNIDENTIFIED)
        if record.account.subject and not nameless and who.subject != record.account.subject:
            raise PeerFault(
                f"{record.account.id} now belongs to another person",
                code="subject_mismatch",
            )
        accepted = TokenAccepted(who.name, who.email, who.avatar_url, who.plan)
        self._store.update(record.account.key, partial(after, event=accepted))
        self._events.notify(record, "tested")
        return TestResult(
            record.account.id, True, who.subject, who.name, 200, round(took.total_seconds() * 1000)
        )

    def _ask(self, record: Record) -> Identity:
        key = record.account.key
        grant = self._usable(record)
        try:
            return self._identify(record, grant)
        except KeyfobError as error:
            if error.code != "token_rejected":
                raise
        renewable = grant.renewable and METHOD_FACTS[record.account.method].renewable
        if not renewable and not self._named_by_id_token(record):
            return self._ask_again(record)
        grant = self._keeper.grant(key, min_life=None, rejected=grant.access)
        return self._identify(record, grant)

    def _usable(self, record: Record) -> Grant:
        if refused_in_test(record.status):
            return self._keeper.kept(record)
        return self._keeper.grant(record.account.key, min_life=None)

    def _ask_again(self, record: Record) -> Identity:
        """Once more with the token that is there now: another program may have replaced it, and a provider in
        trouble may answer 401 to a good token.
        """
        grant = self._usable(record)
        try:
            return self._identify(record, grant)
        except KeyfobError as error:
            if error.code != "token_rejected":
                raise
            refused = self._refused(record, error)
        self._doubt_together(record)
        self._keeper.end_refused(record, grant.access, refused)
        raise refused

    def _doubt_together(self, record: Record) -> None:
        """A provider in trouble may refuse every token. Raises Transient `refused_together` if it has just
        refused another account's too. That account does not need its user then.
        """
        since = self._env.now() - TOGETHER
        others = [
            each
            for each in self._store.records()
            if each.account.key != record.account.key
            and each.account.provider == record.account.provider
            and each.account.pin.inputs == record.account.pin.inputs
            and isinstance(each.status, NeedsSignIn)
            and refused_in_test(each.status)
            and each.status.error.at >= since
        ]
        if not others:
            return
        for each in others:
            self._store.update(each.account.key, partial(after, event=RefusalDoubted()))
            self._events.notify(each, "tested")
        title, count = self._contexts.provider(record).title, len(others) + 1
        raise Transient(
            f"{title} refused the tokens of {count} accounts within a minute: it may have a problem",
            code="refused_together",
            facts={"account": record.account.id},
        )

    def _refused(self, record: Record, error: KeyfobError) -> SignInNeeded:
        title = self._contexts.provider(record).title
        facts: Facts = {"account": record.account.id}
        if holds_key(record.account.method):
            return SignInNeeded(
                f"{title} refused this key", code="key_rejected", detail=error.detail, facts=facts
            )
        return SignInNeeded(
            f"{title} refused this token", code="token_rejected", detail=error.detail, facts=facts
        )

    def _identify(self, record: Record, grant: Grant) -> Identity:
        """Who the token is of, if the provider can be asked that; else whether it works."""
        ctx = self._contexts.for_account(record, grant)
        method, subject = record.account.method, record.account.subject
        profile = ctx.provider.key_for(method)
        source = (profile.identity if profile else ctx.provider.identity).source
        tested = profile is None and ctx.provider.test is not None and ctx.provider.test.url is not None
        if source == "none" and not tested:
            raise Usage(f"{ctx.provider.title} does not say whether a token works", code="not_testable")
        if source in ("userinfo", "request"):
            return self._runner.run(
                identity.identify(ctx, grant, claims=None, method=method), plain_host=ctx.provider.plain_host
            )
        return self._runner.run(
            identity.probe(ctx, grant, subject=subject, method=method), plain_host=ctx.provider.plain_host
        )

    def _test_by_renewing(self, record: Record) -> bool:
        nobody = METHOD_FACTS[record.account.method].by_client  # who-am-I knows users alone
        return record.renewable and (nobody or self._named_by_id_token(record))

    def _named_by_id_token(self, record: Record) -> bool:
        """Whether nothing can be asked that surely takes the token: who the account is came with the ID token
        or not at all, and the user information endpoint may refuse a token that is meant for another
        resource, such as an MCP server.
        """
        provider = self._contexts.provider(record)
        no_request = provider.test is None or provider.test.url is None
        nobody_says = provider.identity.source in ("id_token", "none")
        return not holds_key(record.account.method) and nobody_says and no_request
