"""The answers that the agent gives again without asking the engine.

An answer may be given again while three things hold: its token lives long enough, no process has written to
the account store since it was made, and programs are not asked about. Reading a request costs more than
answering it, so the cache also knows which question some bytes ask, where they have been read and checked
before.

Everything is called on the loop's thread, except `keep` and `clear`, which any thread may call.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from keyfob.core.account import AccountView
from keyfob.core.min_life import min_life

Question = tuple[str, str, bool]  # target, accepted form, whether the connection stays

ANSWERS_MOST = 1024  # of each kind that is kept; when they are more, all are forgotten
QUESTION_MOST = 1024  # bytes of a request whose answer is kept
ANSWER_MOST = 16 * 1024  # bytes of an answer that is kept
KEPT_MOST = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Standing:
    """What holds now: the account store's version, and whether programs are asked about."""

    version: int
    consenting: bool


@dataclass(frozen=True, slots=True)
class _Kept:
    answer: bytes
    until: datetime
    version: int


class AnswerCache:
    """`look` reads what holds now; it costs a query. `soon` calls a function in the loop's next turn:
    requests that the loop finds waiting together are answered by one look, which is made when all of them are
    there already.
    """

    def __init__(
        self,
        now: Callable[[], datetime],
        look: Callable[[], Standing],
        soon: Callable[[Callable[[], None]], object],
    ) -> None:
        self._now = now
        self._look = look
        self._soon = soon
        self._answers: dict[Question, _Kept] = {}
        self._questions: dict[tuple[object, bytes], Question] = {}
        self._standing: Standing | None = None  # in this turn of the loop

    def answer(self, question: Question) -> bytes | None:
        """The answer, None when the engine must be asked. Raises what `look` raises."""
        kept = self._answers.get(question)
        if kept is None:
            return None
        standing = self._standing or self._look_once()
        if standing.consenting:
            return None
        if self._now() >= kept.until or kept.version != standing.version:
            self._answers.pop(question, None)
            return None
        return kept.answer

    def answer_to(self, place: object, data: bytes) -> tuple[bytes, bool] | None:
        """The answer to these very bytes, and whether the connection stays; None unless they were
        `recognise`d at this place. Raises as `answer`.
        """
        question = self._questions.get((place, data))
        answer = None if question is None else self.answer(question)
        return None if question is None or answer is None else (answer, question[2])

    def recognise(self, place: object, data: bytes, question: Question) -> None:
        """`data` was read and checked at `place`: it asks `question`."""
        if len(data) > QUESTION_MOST:
            return
        if len(self._questions) >= ANSWERS_MOST:
            self._questions.clear()
        self._questions[place, data] = question

    def keep(self, question: Question, answer: bytes, until: datetime, version: int) -> None:
        """Give this answer from now on. `version`: the store's, read before the answer was made, so that
        whatever anybody writes in the meantime makes the answer void.
        """
        if until <= self._now() or len(answer) > ANSWER_MOST:
            return
        if len(question[0]) + len(question[1]) > QUESTION_MOST:
            return
        if len(self._answers) >= ANSWERS_MOST:
            self._answers.clear()
        self._answers[question] = _Kept(answer, until, version)

    def clear(self) -> None:
        """Something changed: no answer is given again."""
        self._answers.clear()

    def _look_once(self) -> Standing:
        standing = self._standing = self._look()
        self._soon(self._look_again)
        return standing

    def _look_again(self) -> None:
        self._standing = None


def kept_until(view: AccountView, asked: timedelta | None, now: datetime) -> datetime:
    """Until when a token of this account answers the same question;
    `asked` is the life that the tool wants.
    """
    until = now + KEPT_MOST
    if view.expires_at is None:
        return until
    lifetime = (view.expires_at - (view.obtained_at or now)).total_seconds()
    life = min_life(lifetime, None if asked is None else asked.total_seconds())
    return min(until, view.expires_at - timedelta(seconds=life))
