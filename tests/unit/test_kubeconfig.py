"""A kubeconfig edited as text: the item in, the item out, every other line as it was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob.core.errors import SettingWrong
from keyfob.tools.kubeconfig import has_user, with_context, with_user, without_user
from keyfob.tools.yaml_places import tree_of

tree_of("")  # loads PyYAML, which on a busy machine takes longer than one example of a property may
COMMAND = ["keyfob", "credential", "kubectl", "work/me"]
VERSION = "client.authentication.k8s.io/v1"
OTHER = """\
- name: other
  user:
    exec:
      args:
      - name: me
    token: canary
"""
HEAD = "apiVersion: v1\nkind: Config\ncontexts:\n- context:\n    cluster: c\n    user: nobody\n  name: work\n"
INDENTED = "users:\n  - name: other\n    user:\n      token: canary\n"


@pytest.mark.parametrize(
    "text",
    [
        HEAD + "users: []\n",
        HEAD + "users:\n" + OTHER,
        "users:\n" + OTHER + HEAD,
        INDENTED + HEAD,
        "users:\n" + OTHER.rstrip("\n"),
        HEAD + "users: [] # mine\n",
        HEAD + "'users' : # mine\n\n# first\n-\n  # its name\n  name: other\n\n# last\npreferences: {}\n",
        "---\n" + HEAD + "users:\n" + OTHER + "...\n",
        "users:\n- {name: other, user: {token: canary}}\n" + HEAD,
    ],
)
def test_in_and_out(text: str) -> None:
    made = with_user(text, "me", COMMAND, VERSION)
    assert has_user(made, "me")
    assert not has_user(text, "me"), "a name further in is not the item's"
    assert with_user(made, "me", COMMAND, VERSION) == made
    assert without_user(made, "me") == text
    assert without_user(text, "me") == text
    assert {row for row in text.split("\n") if "[]" not in row} <= set(made.split("\n"))


def test_a_file_without_users_gets_some() -> None:
    made = with_user(HEAD, "me", COMMAND, VERSION)
    assert made.startswith(HEAD)
    assert "users:\n- name: me\n  user:\n    exec:\n" in made
    assert with_user("", "me", COMMAND, VERSION).startswith(
        "apiVersion: v1\nkind: Config\nusers:\n- name: me\n"
    )


def test_the_indent_is_the_lists_own() -> None:
    assert "users:\n  - name: me\n    user:\n" in with_user(INDENTED, "me", COMMAND, VERSION)


def test_a_contexts_user() -> None:
    made = with_context(HEAD, "work", "me")
    assert made == HEAD.replace("nobody", "me")
    quoted = HEAD.replace("user: nobody", "'user': \"no\\x62ody\" # until now")
    assert with_context(quoted, "work", "me") == quoted.replace('"no\\x62ody"', "me")
    for text, name in (
        (HEAD, "other"),
        ("contexts: []\n", "work"),
        (HEAD.replace("    user: nobody\n", ""), "work"),
        (HEAD.replace("user: nobody", "user:"), "work"),
        ("x: &who nobody\n" + HEAD.replace("nobody", "*who"), "work"),
    ):
        with pytest.raises(SettingWrong):
            with_context(text, name, "me")


@pytest.mark.parametrize(
    "text",
    [
        "users: [{name: other}]\n",
        '{"users": []}\n',
        "users: {a: b}\n",
        "users: me\n",
        "users:\n  []\n",
        "users: [\n",
        "- users\n",
        "a: b\n---\nusers: []\n",
        "a: b\n...\n",
    ],
)
def test_what_is_written_otherwise_is_refused(text: str) -> None:
    with pytest.raises(SettingWrong):
        with_user(text, "me", COMMAND, VERSION)


@pytest.mark.parametrize("name", ["a: b", "- x", "#", "", "a b", '"', "a\nb"])
def test_a_name_that_would_be_something_else_in_yaml_is_refused(name: str) -> None:
    with pytest.raises(SettingWrong):
        with_user("", name, COMMAND, VERSION)


@given(
    st.lists(
        st.sampled_from([*OTHER.splitlines(), *HEAD.splitlines(), "users:", "", "# note", "clusters: []"])
    )
)
def test_any_order_of_lines_comes_back_whole(lines: list[str]) -> None:
    text = "\n".join(lines)
    try:
        made = with_user(text, "mine", COMMAND, VERSION)
    except SettingWrong:
        return
    assert has_user(made, "mine")
    left = without_user(made, "mine").split("\n")

    def rest(rows: list[str]) -> list[str]:
        return [row for row in rows if row.strip() and not row.startswith("users:")]

    assert rest(left) == rest(lines) or not text
