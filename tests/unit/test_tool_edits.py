"""Edits of other tools' settings: made once however often asked, taken
out without a trace, secrets never shown.
"""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob.core.errors import SettingWrong
from keyfob.tools.edits import masked, shown, with_block, with_json, without_block

LINES = ["[credential]", "\thelper = keyfob"]
TEXTS = st.lists(st.sampled_from(["", "[global]", "a = 1", "\tb", "# note", "é"]), max_size=6).map("\n".join)


@given(TEXTS)
def test_a_block_is_made_once_and_taken_out_without_a_trace(text: str) -> None:
    made = with_block(text, "git", LINES)
    assert with_block(made, "git", LINES) == made
    assert without_block(made, "git").rstrip("\n") == text.rstrip("\n")
    assert without_block(text, "git") == text
    other = with_block(made, "git", ["another"])
    assert "helper" not in other
    assert without_block(other, "git") == without_block(made, "git")


@given(TEXTS)
def test_two_tools_blocks_in_one_file_do_not_touch_each_other(text: str) -> None:
    both = with_block(with_block(text, "pip", ["x"]), "npm", ["y"])
    assert without_block(both, "pip") == with_block(
        without_block(with_block(text, "pip", ["x"]), "pip"), "npm", ["y"]
    )


def test_a_block_may_stand_after_a_line() -> None:
    made = with_block("[global]\ntimeout = 5\n", "pip", ["keyring-provider = subprocess"], after="[global]")
    assert made.startswith("[global]\n# >>> keyfob wire pip")
    assert without_block(made, "pip") == "[global]\ntimeout = 5\n"


def test_a_block_with_no_end_is_not_guessed_at() -> None:
    cut = with_block("", "git", LINES).replace("# <<< keyfob wire git\n", "")
    with pytest.raises(SettingWrong):
        without_block(cut, "git")


def test_json_keeps_its_order_and_indent() -> None:
    text = '{\n\t"z": 1,\n\t"a": {"k": [1, 2]}\n}\n'
    made = with_json(text, lambda body: body.update(new="n"), "x")
    assert list(json.loads(made)) == ["z", "a", "new"]
    assert made.startswith('{\n\t"z": 1,')
    assert with_json(text, lambda body: None, "x") == text
    assert with_json("", lambda body: body.update(a=1), "x") == '{\n  "a": 1\n}\n'
    for wrong in ("[]", "{", "// note\n{}"):
        with pytest.raises(SettingWrong):
            with_json(wrong, lambda body: None, "x")


def test_what_is_shown_holds_no_secret_of_the_neighbours() -> None:
    text = '{"auths": {"ghcr.io": {"auth": "Y2FuYXJ5"}}, "credHelpers": {}}'
    after = with_json(text, lambda body: body["credHelpers"].update({"ghcr.io": "keyfob"}), "x")
    lines = "\n".join(shown(text, after, "config.json"))
    assert '+    "ghcr.io": "keyfob"' in lines
    assert "Y2FuYXJ5" not in lines
    lines = "\n".join(shown("a=1\n//r/:_authToken=canary\n", "a=1\nb=2\n", ".npmrc"))
    assert "canary" not in lines
    assert "+b=2" in lines


@pytest.mark.parametrize(
    "line",
    [
        "//registry/:_authToken=canary", "_password = canary", "    token: canary", "client-key-data: canary",
        '"auth": "canary"', "aws_secret_access_key=canary", "client_secret = canary",
    ],
)  # fmt: skip
def test_masking(line: str) -> None:
    assert "canary" not in masked(line)


def test_a_variables_name_is_no_secret() -> None:
    assert masked("+//r/:_authToken=${GITHUB_TOKEN}") == "+//r/:_authToken=${GITHUB_TOKEN}"
