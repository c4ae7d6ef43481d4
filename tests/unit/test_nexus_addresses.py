"""Addresses of mods, and the site's links: what is taken, and what a hostile page may try."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from keyfob.core.errors import Transient, Usage
from keyfob.nexus.addresses import ModAddress, file_page, mod_address, nxm_link


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("https://www.nexusmods.com/skyrimspecialedition/mods/266", ("skyrimspecialedition", 266, None)),
        ("https://nexusmods.com/EldenRing/mods/5?tab=files&file_id=77", ("eldenring", 5, 77)),
        ("https://www.nexusmods.com/games/eldenring/mods/5#top", ("eldenring", 5, None)),
        ("www.nexusmods.com/eldenring/mods/5/", ("eldenring", 5, None)),
        (" eldenring/5 ", ("eldenring", 5, None)),
        ("https://www.nexusmods.com/a/mods/1?file_id=x", ("a", 1, None)),
    ],
)
def test_the_address_of_a_mod(text: str, address: tuple[str, int, int | None]) -> None:
    assert mod_address(text) == ModAddress(*address)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "266",
        "https://example.org/skyrim/mods/1",
        "https://www.nexusmods.com.evil.example/skyrim/mods/1",
        "https://evil.example/https://www.nexusmods.com/skyrim/mods/1",
        "https://www.nexusmods.com/skyrim/mods/",
        "https://www.nexusmods.com/skyrim/mods/1x",
        "https://www.nexusmods.com/sky rim/mods/1",
        "https://www.nexusmods.com/../mods/1",
        "https://[",
        "a/99999999999",
    ],
)
def test_what_is_not_the_address_of_a_mod(text: str) -> None:
    with pytest.raises(Usage) as caught:
        mod_address(text)
    assert caught.value.code == "nexus_address_wrong"


def test_a_link_of_the_button() -> None:
    link = nxm_link("nxm://SkyrimSpecialEdition/mods/266/files/4711?key=A_b-9&expires=1790000000&user_id=12")
    assert (link.game, link.mod_id, link.file_id, link.user_id) == ("skyrimspecialedition", 266, 4711, 12)
    assert link.key is not None
    assert link.key.reveal() == "A_b-9"
    assert link.expires == datetime.fromtimestamp(1_790_000_000, UTC)
    assert "A_b-9" not in repr(link)
    link.refuse_expired(datetime.fromtimestamp(1_789_999_999, UTC))
    with pytest.raises(Transient) as caught:
        link.refuse_expired(datetime.fromtimestamp(1_790_000_000, UTC))
    assert caught.value.facts["page"] == file_page("skyrimspecialedition", 266, 4711)


def test_links_without_a_key_and_with_more() -> None:
    assert nxm_link("nxm://a/mods/1/files/2").key is None
    assert nxm_link("NXM://a/Mods/1/Files/2/?key=k&expires=5&user_id=1&view=1").file_id == 2
    assert nxm_link("nxm://a/mods/1/files/2?key=k&expires=999999999999").expires is not None


@pytest.mark.parametrize(
    "text",
    [
        "nxm://",
        "http://a/mods/1/files/2",
        "nxm://a.b/mods/1/files/2",
        "nxm://a/mods/-1/files/2",
        "nxm://a/mods/1/files/2/../3",
        "nxm://a/mods/1/files/99999999999",
        "nxm://a/mods/1/files/2?key=k",  # one without the other
        "nxm://a/mods/1/files/2?expires=5",
        "nxm://a/mods/1/files/2?key=k&expires=x",
        "nxm://a/mods/1/files/2?key=k&expires=5&user_id=1x",
        "nxm://a/mods/1/files/2?key=k&key=l&expires=5",  # two keys
        "nxm://a/mods/1/files/2?key=%0a&expires=5",
        "nxm://a/mods/1/files/2?key=k&expires=5\n--yes",
        "nxm://a/mods/1/files/2?key=\u202e&expires=5",
        "nxm://a/mods/1/files/2?" + "&".join(f"a{n}=1" for n in range(20)),
        "nxm://a/collections/x/revisions/1",
        "nxm://oauth/callback?code=secret&state=1",
        "nxm://premium",
        "nxm://a/mods/1/files/2?key=" + "k" * 2000 + "&expires=5",
    ],
)
def test_s99_a_link_that_is_not_quite_one_is_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(Usage) as caught:
        nxm_link(text)
    assert caught.value.code == "nxm_link_wrong"
    assert "secret" not in caught.value.message
    assert "key" not in caught.value.message


@given(st.text(max_size=300) | st.from_regex(r"nxm://[a-z0-9./?=&%-]{0,80}"))
def test_s99_any_text_is_a_link_or_an_error(text: str) -> None:
    try:
        link = nxm_link(text)
    except Usage:
        return
    assert link.game.isalnum()
    assert link.game == link.game.lower()
