"""Version numbers: found in what programs print and how releases are tagged, and compared."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st
from packaging.version import Version as Pep440

from keyfob.updates.versions import newer, normalised, parsed

TEXTS = {
    "v1.2": "1.2",
    "V2.0.5": "2.0.5",
    "me3 0.9.1": "0.9.1",
    "keyfob-1.2.0+deb": "1.2.0",
    "rust-v0.145.0": "0.145.0",
    "rust-v0.145.0-alpha.3": "0.145.0-alpha.3",
    "gh version 2.23.0 (2023-02-27 Debian 2.23.0+dfsg1-1)": "2.23.0",
    "2.0.5 (Claude Code)": "2.0.5",
    "codex-cli 0.145.0": "0.145.0",
    "aws-cli/2.9.19 Python/3.11.2 Linux/6.1.0": "2.9.19",
    "Client Version: v1.28.2\nKustomize Version: v5.0.4": "1.28.2",
    "Docker version 24.0.5, build ced0996": "24.0.5",
    "go version go1.22.1 linux/amd64": "1.22.1",
    "7-zip 23.01": "23.01",
    "me3-linux-amd64.tar.gz": "me3-linux-amd64.tar.gz",
    "1.2.0-linux-x86_64": "1.2.0",
    "keyfob-1.2.0-rc.1-linux.tar.gz": "1.2.0-rc.1",
    "OpenSSL 1.1.1k  25 Mar 2021": "1.1.1k",
    "2023-02-27": "2023.02.27",
    "  26.1 ": "26.1",
    "1": "1",
    "nightly": "nightly",
    "": "",
}


@pytest.mark.parametrize(("text", "number"), TEXTS.items())
def test_the_number_is_found(text: str, number: str) -> None:
    assert normalised(text) == number


@pytest.mark.parametrize(
    ("candidate", "installed", "answer"),
    [
        ("v1.2", "1.1.9", True),
        ("1.2", "v1.2.0", False),  # the same
        ("1.2.0", "keyfob-1.2.0+deb", False),
        ("1.10.0", "1.9.0", True),
        ("1.0", "1.0rc1", True),
        ("1.0rc1", "1.0", False),
        ("1.0.dev1", "1.0a1", False),
        ("1.0.post1", "1.0", True),
        ("2.23.0-1", "2.23.0", True),  # PEP 440: a later package of the same version
        ("2024.01.05", "2023-12-31", True),
        ("1.0.0", "1.0.0-nightly.20240101", True),
        ("1.0.0-nightly.20240102", "1.0.0-nightly.20240101", True),
        ("1.0.1-nightly.1", "1.0", True),
        ("1.1.1l", "1.1.1k", None),
        ("nightly", "1.0", None),
        ("1.0", "", None),
    ],
)
def test_two_are_compared(candidate: str, installed: str, answer: bool | None) -> None:
    assert newer(candidate, installed) is answer


def test_the_order_of_semantic_versioning() -> None:
    """The example of Semantic Versioning 2.0.0 §11.4."""
    order = [
        "1.0.0-alpha", "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta", "1.0.0-beta.2", "1.0.0-beta.11",
        "1.0.0-rc.1", "1.0.0",
    ]  # fmt: skip
    for lower, higher in itertools.combinations(order, 2):
        assert newer(higher, lower) is True, (higher, lower)
        assert newer(lower, higher) is False


def test_a_pre_release_says_so() -> None:
    for text in ("1.0rc1", "1.0.dev3", "0.145.0-alpha.3", "1.0.0-nightly.1"):
        assert (found := parsed(text)) is not None
        assert found.prerelease, text
    for text in ("1.0", "1.0.post1", "v2"):
        assert (found := parsed(text)) is not None
        assert not found.prerelease, text


@given(st.text(max_size=600))
def test_any_text_is_read_without_an_error_and_once(text: str) -> None:
    number = normalised(text)
    assert normalised(number) == number
    assert newer(text, text) in (False, None)


RELEASES = st.lists(st.integers(0, 10**6), min_size=1, max_size=5).map(
    lambda parts: ".".join(map(str, parts))
)
ENDS = st.sampled_from(["", "a1", "b2", "rc3", ".dev4", ".post5", "-rc.1", "-alpha.2"])
NUMBERS = st.builds("{}{}".format, RELEASES, ENDS)


@given(NUMBERS, NUMBERS, st.sampled_from(["", "v", "me3 ", "keyfob-", "rust-v"]))
def test_what_pep_440_can_read_has_its_order(one: str, other: str, prefix: str) -> None:
    assert newer(prefix + one, other) is (Pep440(one) > Pep440(other))
    assert not (newer(one, other) and newer(other, one))


SEMANTIC = st.builds(
    "{}.{}.{}-{}".format, *(st.integers(0, 3),) * 3, st.sampled_from(["nightly", "canary.1", "x.2", "x.10"])
)


@given(SEMANTIC, SEMANTIC, SEMANTIC)
def test_semantic_versions_have_one_order(a: str, b: str, c: str) -> None:
    assert (newer(a, b), newer(b, a)).count(True) == (a != b)
    if newer(a, b) and newer(b, c):
        assert newer(a, c)
