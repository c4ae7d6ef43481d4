"""`keyfob models`: the gateway's model table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from keyfob.engine import Engine
from support.cli_run import opens, run
from support.running import Ran
from support.sample_engine import sample_engine
from support.samples import sample_views


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return sample_engine(tmp_path)


def call(engine: Engine, *argv: str) -> Ran:
    return run(["models", *argv], opens(engine))


def account(engine: Engine, *, speaks: bool) -> str:
    """One of the samples that speaks to LLMs, or that does not."""
    return next(
        view.id for view in sample_views() if bool(engine.signer.llm(view.id).formats) == speaks
    )  # fmt: skip


def test_a_model_from_its_beginning_to_its_end(engine: Engine) -> None:
    assert "is empty" in call(engine, "list").out
    ref = account(engine, speaks=True)
    added = call(engine, "add", "fast-*", ref, "--model", "big-*")
    assert (added.code, added.out) == (0, f"Added fast-*: {ref}\n")
    listed = call(engine, "list")
    assert [line.split()[:3] for line in listed.out.splitlines()[1:]] == [["fast-*", ref, "big-*"]]
    document = json.loads(call(engine, "list", "--json").out)
    formats = list(engine.signer.llm(ref).formats)
    assert document["file"] == str(engine.home.config / "models.yaml")
    assert document["models"] == [
        {"name": "fast-*", "account": ref, "model": "big-*", "format": None, "formats": formats}
    ]
    assert call(engine, "remove", "fast-*", "--json").json["name"] == "fast-*"
    assert call(engine, "remove", "fast-*").code == 7


def test_what_cannot_work_is_refused(engine: Engine) -> None:
    ref = account(engine, speaks=True)
    other = account(engine, speaks=False)
    missing = (
        {"openai_chat", "openai_responses", "anthropic_messages"} - set(engine.signer.llm(ref).formats)
    ).pop()
    for words, code, word in (
        (("add", "a", "nobody/here"), 7, "nobody/here"),
        (("add", "a", other), 2, "speaks no format"),
        (("add", "a", ref, "--format", missing), 2, f"does not speak {missing}"),
        (("add", "a", ref, "--model", "b*"), 8, "the name has none"),
        (("add", "", ref), 8, "not a model's name"),
    ):
        ran = call(engine, *words)
        assert (ran.code, word in ran.err) == (code, True), ran.err
    assert not (engine.home.config / "models.yaml").exists()


def test_a_faulty_table_is_named_with_its_line(engine: Engine) -> None:
    path = engine.home.config / "models.yaml"
    path.write_text("gpt:\n  acount: a/b\n")
    ran = call(engine, "list")
    assert ran.code == 8
    assert "models.yaml, line 2: gpt has a key that does not exist" in ran.err


def test_an_account_that_is_gone_stays_in_the_list(engine: Engine) -> None:
    (engine.home.config / "models.yaml").write_text("gpt: {account: gone/me}\n")
    assert "no such account" in call(engine, "list").out
    assert json.loads(call(engine, "list", "--json").out)["models"][0]["formats"] is None
