"""What the agent may answer again without the engine, and when it must not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from keyfob.agent import answer_cache
from keyfob.agent.answer_cache import AnswerCache, Question, Standing, kept_until
from keyfob.core.account import AccountView
from support.samples import view

AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
ALICE: Question = ("/v1/token/here/alice", "text/plain", False)
BOB: Question = ("/v1/token/here/bob", "text/plain", True)


class Loop:
    """A cache, the clock and the store that it looks at, and the loop's next turn. `looks` counts."""

    def __init__(self) -> None:
        self.at = AT
        self.standing = Standing(7, False)
        self.looks = 0
        self._soon: list[Callable[[], None]] = []
        self.cache = AnswerCache(lambda: self.at, self._look, self._soon.append)

    def _look(self) -> Standing:
        self.looks += 1
        return self.standing

    def turn(self) -> None:
        due, self._soon[:] = list(self._soon), []
        for call in due:
            call()

    def keep(self, question: Question = ALICE, answer: bytes = b"answer", version: int = 7) -> None:
        self.cache.keep(question, answer, AT + timedelta(minutes=1), version)


@pytest.fixture
def loop() -> Loop:
    return Loop()


def test_an_answer_is_given_again_to_the_same_question_alone(loop: Loop) -> None:
    assert loop.cache.answer(ALICE) is None
    loop.keep()
    assert loop.cache.answer(ALICE) == b"answer"
    assert loop.cache.answer((ALICE[0], "application/json", False)) is None
    assert loop.cache.answer(BOB) is None


def test_an_answer_whose_time_is_over_is_given_no_more(loop: Loop) -> None:
    loop.keep()
    loop.at += timedelta(seconds=59)
    assert loop.cache.answer(ALICE) == b"answer"
    loop.at += timedelta(seconds=1)
    assert loop.cache.answer(ALICE) is None
    loop.at = AT
    assert loop.cache.answer(ALICE) is None, "it was forgotten"


def test_an_answer_that_is_over_already_is_not_kept(loop: Loop) -> None:
    loop.cache.keep(ALICE, b"answer", AT, 7)
    assert loop.cache.answer(ALICE) is None


def test_whoever_writes_makes_every_older_answer_void(loop: Loop) -> None:
    loop.keep()
    loop.standing = Standing(8, False)
    assert loop.cache.answer(ALICE) is None


def test_a_write_between_the_look_and_the_answer_makes_it_void(loop: Loop) -> None:
    loop.standing = Standing(8, False)
    loop.keep(version=7)  # as it was when the engine began
    assert loop.cache.answer(ALICE) is None


def test_while_programs_are_asked_about_nothing_is_answered(loop: Loop) -> None:
    loop.keep()
    loop.standing = Standing(7, True)
    assert loop.cache.answer(ALICE) is None
    loop.turn()
    loop.standing = Standing(7, False)
    assert loop.cache.answer(ALICE) == b"answer"


def test_one_look_serves_one_turn_of_the_loop(loop: Loop) -> None:
    loop.keep()
    loop.keep(BOB)
    for question in (ALICE, BOB, ALICE):
        assert loop.cache.answer(question) == b"answer"
    assert loop.looks == 1
    loop.turn()
    loop.standing = Standing(8, False)
    assert loop.cache.answer(ALICE) is None
    assert loop.looks == 2


def test_what_is_not_kept_costs_no_look(loop: Loop) -> None:
    assert loop.cache.answer(ALICE) is None
    assert loop.cache.answer_to("gate", b"GET") is None
    assert loop.looks == 0


def test_a_look_that_fails_is_the_callers_and_is_made_anew(loop: Loop) -> None:
    def fail() -> Standing:
        raise OSError

    cache = AnswerCache(lambda: AT, fail, lambda call: None)
    cache.keep(ALICE, b"answer", AT + timedelta(minutes=1), 7)
    for _ in range(2):
        with pytest.raises(OSError):
            cache.answer(ALICE)


def test_known_bytes_are_answered_at_their_own_place(loop: Loop) -> None:
    loop.keep(BOB)
    assert loop.cache.answer_to("gate", b"GET bob") is None
    loop.cache.recognise("gate", b"GET bob", BOB)
    assert loop.cache.answer_to("gate", b"GET bob") == (b"answer", True)
    assert loop.cache.answer_to("another gate", b"GET bob") is None
    assert loop.cache.answer_to("gate", b"GET bob ") is None
    loop.cache.clear()
    assert loop.cache.answer_to("gate", b"GET bob") is None


def test_clearing_forgets_the_answers_and_not_what_bytes_mean(loop: Loop) -> None:
    loop.keep()
    loop.cache.recognise("gate", b"GET", ALICE)
    loop.cache.clear()
    assert loop.cache.answer(ALICE) is None
    loop.keep()
    assert loop.cache.answer_to("gate", b"GET") == (b"answer", False)


def test_nothing_grows_without_a_bound(loop: Loop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_cache, "ANSWERS_MOST", 3)
    questions: list[Question] = [(f"/v1/token/{number}", "", False) for number in range(10)]
    for number, question in enumerate(questions):
        loop.keep(question)
        loop.cache.recognise("gate", b"%d" % number, question)
        kept = [loop.cache.answer_to("gate", b"%d" % each) for each in range(number + 1)]
        assert kept[-1] is not None
        assert len([each for each in kept if each is not None]) <= 3


@pytest.mark.parametrize(
    ("question", "answer"),
    [((f"/v1/token/{'a' * 1024}", "", False), b"answer"), (ALICE, b"a" * (16 * 1024 + 1))],
    ids=["question", "answer"],
)
def test_what_is_large_is_not_kept(loop: Loop, question: Question, answer: bytes) -> None:
    loop.keep(question, answer)
    assert loop.cache.answer(question) is None


def test_large_requests_are_not_recognised(loop: Loop) -> None:
    loop.keep()
    loop.cache.recognise("gate", b"a" * 1025, ALICE)
    assert loop.cache.answer_to("gate", b"a" * 1025) is None


def account(**times: timedelta | None) -> AccountView:
    found = {name: None if span is None else AT + span for name, span in times.items()}
    return replace(view("here", "Here", "alice"), **found)


MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


@pytest.mark.parametrize(
    ("obtained", "expires", "asked", "kept"),
    [
        (-MINUTE, None, None, 5 * MINUTE),  # a key
        (-MINUTE, HOUR, None, 5 * MINUTE),  # at most so long
        (-HOUR, 3 * MINUTE, None, 2 * MINUTE),  # a minute is left
        (timedelta(0), 100 * timedelta(seconds=1), None, 80 * timedelta(seconds=1)),  # 20 % of a short life
        (-HOUR, 3 * MINUTE, timedelta(0), 3 * MINUTE),
        (-HOUR, HOUR, 2 * HOUR, -HOUR),  # more than there is: not kept at all
        (None, 100 * timedelta(seconds=1), None, 80 * timedelta(seconds=1)),
    ],
)
def test_an_answer_is_kept_while_its_token_lives_long_enough(
    obtained: timedelta | None, expires: timedelta | None, asked: timedelta | None, kept: timedelta
) -> None:
    found = account(obtained_at=obtained, expires_at=expires)
    assert kept_until(found, asked, AT) == AT + kept
