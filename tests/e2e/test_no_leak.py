"""S-25: no secret ever shows. A canary in each of them, a life of an account with all that may go wrong, and
then a search of everything that others could read: logs at DEBUG, exceptions and tracebacks, events, files,
pages, children.
"""

from __future__ import annotations

import json
import logging
import os
import pickle
import threading
import time
import traceback
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from urllib.parse import parse_qsl, quote

import pytest

from keyfob.adapters.system.entropy import entropy
from keyfob.adapters.vault.memory import MemoryVault
from keyfob.core.errors import KeychainError, KeyfobError
from keyfob.core.grant import unseal
from keyfob.core.secret import Secret
from keyfob.process import log as private_log
from keyfob.service.sign_in.browser import STATE_BYTES
from support import hostile
from support.hostile import answer
from support.misbehaving import Misbehaving
from support.whole_engine import Page, Whole, browse, get

pytestmark = [pytest.mark.network, pytest.mark.logs]
CANARY = "cAnArYcAnArY"
TABLES = """
[api_key]
[api_key.identity]
source = "request"
url = "{issuer}/userinfo"
[api_key.identity.map]
subject = "sub"
name = "name"
[api_key.api]
base = "{issuer}"
placement = "bearer"
"""


class Children(threading.Thread):
    """Watches the command lines and environments of this process and all it starts."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.seen: set[bytes] = set()
        self.stop = threading.Event()

    def run(self) -> None:
        while not self.stop.wait(0.02):
            for entry in Path("/proc").iterdir():
                if not entry.name.isdigit():
                    continue
                try:
                    mine = b"PPid:\t%d\n" % os.getpid() in (entry / "status").read_bytes()
                    if mine or int(entry.name) == os.getpid():
                        self.seen.add((entry / "cmdline").read_bytes())
                        self.seen.add((entry / "environ").read_bytes())
                except OSError:
                    continue


class Heard(logging.Handler):
    """Everything that is logged, by anybody, from DEBUG up, with tracebacks and arguments."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.told.append(f"{record.name} {record.getMessage()} {record.args!r} {record.__dict__!r}")
        if record.exc_info and record.exc_info[1]:
            self.told += traceback.format_exception(record.exc_info[1])


@pytest.fixture
def heard() -> Iterator[Heard]:
    handler = Heard()
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.DEBUG)
    root.addHandler(handler)
    yield handler
    root.removeHandler(handler)
    root.setLevel(before)


class Fragile(MemoryVault):
    """Refuses to save while `broken`."""

    broken = False

    def save(self, name: str, value: Secret) -> None:
        if self.broken:
            raise KeychainError("The keychain is locked", code="keychain_locked")
        super().save(name, value)


def _echo(provider: Misbehaving) -> hostile.Behaviour:
    """A server that quotes the refresh token which it refuses."""

    def behave(talk: hostile.Talk) -> None:
        sent = dict(parse_qsl(talk.request.body.decode()))["refresh_token"]
        body = {"error": "invalid_request", "error_description": f"The token {sent} is not liked"}
        answer(400, json.dumps(body).encode())(talk)

    return behave


def private_keys(whole: Whole) -> set[str]:
    """The private parts of the DPoP keys in the vault."""
    found: set[str] = set()
    for entry in whole.entries().values():
        if entry.reveal().startswith("revoke"):
            continue
        try:
            key = unseal(entry).key
        except (KeyfobError, ValueError):
            continue
        if key is not None:
            found.add(json.loads(key.private_jwk.reveal())["d"])
    return found


def shown(failures: list[BaseException]) -> str:
    """All that a log or a person could see of these exceptions."""
    return "\n".join(
        "".join(traceback.format_exception(error)) + repr(error) + repr(getattr(error, "__dict__", ""))
        for error in failures
    )


def test_s_25_no_secret_is_anywhere_but_in_the_keychain(
    tmp_path: Path, heard: Heard, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    failures: list[BaseException] = []
    events: list[object] = []
    secrets: set[str] = set()

    def marked(size: int) -> str:
        """States, verifiers, nonces and keys carry a canary of their own."""
        made = entropy(size)
        if size >= STATE_BYTES:  # smaller ones are names: an account's, a revocation's, a request's
            secrets.add(made)
        return made

    children = Children()
    children.start()
    with Misbehaving() as provider:
        provider.canary = CANARY * 50  # longer than what is shown of a peer's words
        vault = Fragile()
        whole = Whole(
            tmp_path,
            provider,
            vault=vault,
            entropy=marked,
            top='dpop = "offered"',
            tables=TABLES.format(issuer=provider.issuer),
        )
        text = (whole.home.config / "providers" / "here.toml").read_text()
        text = text.replace('methods = ["oauth"]', 'methods = ["oauth", "api_key"]')
        (whole.home.config / "providers" / "here.toml").write_text(text)
        undo = private_log.set_up(whole.home.log, logging.DEBUG)
        whole.engine.events.subscribe(events.append)

        def attempt(**request: object) -> None:
            try:
                whole.connect(client_secret=Secret(f"client-{CANARY}"), **request)
            except KeyfobError as error:
                failures.append(error)

        def doing(work: object) -> None:
            assert callable(work)
            try:
                work()
            except BaseException as error:
                failures.append(error)

        attempt()
        accounts = whole.engine.accounts
        doing(lambda: accounts.renew("here"))
        for fault in (
            _echo(provider),
            hostile.hang_up,
            hostile.cut_off(),
            answer(200, b"{nonsense"),
            answer(401, b'{"error":"invalid_client"}'),
        ):
            provider.next("/token", fault)
            doing(lambda: accounts.renew("here"))
        vault.broken = True
        doing(lambda: accounts.renew("here"))
        attempt()
        vault.broken = False
        for case in ("oidcc-client-test-invalid-iss", "S-33 unknown", "S-49", "S-50 userinfo without"):
            provider.become(case)
            attempt()
        provider.become("honest")
        provider.next("/token", answer(500, b"down"))
        attempt()

        def wrong(url: str) -> list[Page]:
            real = get(url).headers["location"]
            return [get(real.replace("state=", "state=x")), get(real + "&code=twice"), *browse(real)]

        whole.visit = wrong
        attempt(account="here")
        whole.visit = browse
        doing(lambda: accounts.test("here"))

        def bug(*_: object, **__: object) -> None:
            raise RuntimeError("a bug of ours")

        with monkeypatch.context() as patch:
            patch.setattr("keyfob.protocol.oauth.renewal.merge", bug)
            doing(lambda: accounts.renew("here"))
        with monkeypatch.context() as patch:
            patch.setattr("keyfob.protocol.oauth.authorize.grant_of", bug)
            attempt()
        provider.access.add(f"key-{CANARY}")
        attempt(method="api_key", api_key=Secret(f"key-{CANARY}"), label="key")
        attempt(method="api_key", api_key=Secret(f"wrong-{CANARY}"), label="key2")
        attempt(open_browser=True, label="opened")
        secrets |= private_keys(whole)
        provider.next("/revoke", answer(503, b"{}"), hostile.hang_up)
        for view in accounts.views():
            doing(lambda view=view: accounts.disconnect(view.id))
        doing(lambda: accounts.remove(whole.engine.accounts.views()[0].id))
        time.sleep(0.2)
        views = repr([view.to_json() for view in accounts.views()]) + repr(accounts.views())
        history = repr(accounts.history(limit=1000))
        whole.engine.renewer.tick()
        whole.engine.renewer.settled(timedelta(seconds=5))
        undo()
        files = {path: path.read_bytes() for path in whole.home.root.rglob("*") if path.is_file()}
        whole.engine.close()
    children.stop.set()
    children.join()

    assert len(failures) > 10
    searched: dict[str, bytes] = {
        "logs": "\n".join(heard.told).encode(),
        "exceptions": shown(failures).encode(),
        "events": repr(events).encode() + history.encode(),
        "views": views.encode(),
        "pages": "\n".join(
            page.text + repr(page.headers) for page in whole.pages if page.status == 200
        ).encode(),
        "children": b"\n".join(children.seen),
        "output": "".join(capfd.readouterr()).encode(),
        **{f"file {path.name}": content for path, content in files.items()},
    }
    assert len(files) > 4
    # What a canary's own base64 or percent-encoding would look like is looked for as well.
    needles = {CANARY, quote(CANARY), *secrets}
    assert len(needles) > 20
    found = {
        place: sorted(needle[:6] for needle in needles if needle.encode() in content)
        for place, content in searched.items()
    }
    leaks = {place: hits for place, hits in found.items() if hits}
    assert not leaks, leaks


def test_s_25_a_secret_does_not_tell_itself() -> None:
    secret = Secret(CANARY)
    assert CANARY not in f"{secret} {secret!r} {secret!s:>40} {[secret]} {vars(Secret)}"
    with pytest.raises(TypeError):
        pickle.dumps(secret)
    with pytest.raises(ValueError) as caught:
        raise ValueError(secret)
    assert CANARY not in "".join(traceback.format_exception(caught.value))
