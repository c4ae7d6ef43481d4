"""The API's address in the token answer: taken if the preset lists its host, refused otherwise."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from keyfob.core.errors import PeerFault
from keyfob.core.provider import Endpoints, Provider, Server
from keyfob.core.provider_requests import AnsweredAddress, Api
from keyfob.protocol.context import Client, FlowContext
from keyfob.protocol.oauth.api_address import at_answered_address
from keyfob.protocol.oauth.token_answer import Answer
from support.playbook import AT, ENV

WANTED = AnsweredAddress("instance_url", ("*.force.example", "eu.example"), "/services")
PROVIDER = Provider("p", "Example", api=Api(from_answer=WANTED))
CTX = FlowContext(PROVIDER, Server(None, Endpoints()), Client("client-1"), ENV)


def answer(**data: Any) -> Answer:
    return Answer(data, AT, None, None, None, None, None, None)


@pytest.mark.parametrize(
    "url", ["https://acme.force.example", "https://a.b.force.example/", "https://eu.example:443"]
)
def test_a_listed_host_becomes_the_apis(url: str) -> None:
    found = at_answered_address(CTX, answer(instance_url=url))
    assert found.provider.api.base == f"{url.rstrip('/')}/services"


@pytest.mark.parametrize(
    "url",
    [
        None,
        7,
        "force.example",
        "https://force.example",
        "https://evilforce.example",
        "http://acme.force.example",
        "https://acme.force.example:8443",
        "https://acme.force.example?x=1",
        "https://user@acme.force.example",
        "https://acme.force.example.evil.example",
    ],
)
def test_s64_another_address_is_refused(url: object) -> None:
    with pytest.raises(PeerFault) as caught:
        at_answered_address(CTX, answer(instance_url=url))
    assert caught.value.code == "response_invalid"


def test_without_such_a_field_or_answer_nothing_changes() -> None:
    without = replace(CTX, provider=replace(PROVIDER, api=Api(base="https://api.example")))
    assert at_answered_address(without, answer(instance_url="https://evil.example")) is without
    both = replace(CTX, provider=replace(PROVIDER, api=Api(base="https://api.example", from_answer=WANTED)))
    assert at_answered_address(both, answer()) is both
