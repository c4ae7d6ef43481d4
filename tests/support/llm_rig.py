"""A gateway with LLM addresses over real accounts: one that renews at a Codex-like upstream, and keys."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.llm_server import ANTHROPIC_KEY, GEMINI_KEY, OPENAI_KEY, LlmServer
from support.session import DesktopSession
from support.workshop import Bench, bench_at

CODEX = """\
id = "codex-here"
extends = "openai-codex"
drop = ["issuer", "discovery", "endpoints", "revocation", "identity", "redirect"]
title = "Codex here"
scopes = ["offline_access"]
[endpoints]
authorization_endpoint = "{url}/oauth/authorize"
token_endpoint = "{url}/oauth/token"
[client]
client_id = "of-the-tests"
[redirect]
port = "any"
[api]
base = "{url}/codex"
hosts = []
[formats]
openai_responses = "{url}/codex"
[test]
url = "{url}/codex/usage"
[identity]
source = "access_jwt"
[identity.map]
subject = "sub"
name = "name"
username = "sub"
"""
KEYS = {
    "anthropic-here": 'extends = "anthropic"\n[api]\nbase = "{url}/anthropic"\n[formats]\n'
    'anthropic_messages = "{url}/anthropic/v1"\n[api_key.identity]\nurl = "{url}/anthropic/v1/models"\n'
    '[api_key.api.headers]\nanthropic-beta = "of-the-preset"\n',
    "gemini-here": 'extends = "gemini"\n[api]\nbase = "{url}/gemini"\n[formats]\n'
    'openai_chat = "{url}/gemini/openai"\n[api_key.identity]\nurl = "{url}/gemini/models"\n',
    "openai-here": 'extends = "openai-api"\ndrop = ["formats.openai_responses"]\n[api]\n'
    'base = "{url}/openai/v1"\n[formats]\nopenai_chat = "{url}/openai/v1"\n'
    '[api_key.identity]\nurl = "{url}/openai/v1/models"\n',
}
VISIT = "import sys, urllib.request\nurllib.request.urlopen(sys.argv[1], timeout=20).read()\n"


@dataclass
class LlmRig:
    """`accounts` by provider: provider/label."""

    bench: Bench
    api: LlmServer
    url: str
    accounts: dict[str, str] = field(default_factory=dict)

    def key(self, provider: str, *words: str) -> str:
        """A key of the gateway for this account."""
        made = self.bench.keyfob("grants", "create", self.accounts[provider], *words, "--json")
        assert made.code == 0, made.err
        return str(json.loads(made.out)["key"])

    def last(self) -> tuple[str, dict[str, str], Any]:
        """The last request of the upstream: path, headers, body."""
        path, headers, body = self.api.seen[-1]
        return path, headers, json.loads(body) if body else None


def connected(bench: Bench, api: LlmServer) -> dict[str, str]:
    """Connects the accounts, with the real engine."""
    folder = bench.keyfob_home / "config" / "providers"
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    (folder / "codex-here.toml").write_text(CODEX.format(url=api.url))
    for name, text in KEYS.items():
        (folder / f"{name}.toml").write_text(f'id = "{name}"\ntitle = "{name}"\n' + text.format(url=api.url))
    script = bench.home / "visit.py"
    script.write_text(VISIT)
    done = bench.keyfob("connect", "codex-here", BROWSER=f"{sys.executable} {script} %s")
    assert done.code == 0, done.err
    for name, key in (
        ("anthropic-here", ANTHROPIC_KEY),
        ("openai-here", OPENAI_KEY),
        ("gemini-here", GEMINI_KEY),
    ):
        done = bench.keyfob("connect", name, "--api-key-stdin", stdin=key + "\n")
        assert done.code == 0, done.err
    listed = bench.keyfob("accounts", "--json")
    assert listed.code == 0, listed.err
    return {one["provider"]: one["id"] for one in json.loads(listed.out)["accounts"]}


@contextmanager
def llm_rig(folder: Path, session: DesktopSession, gap: float = 0.0) -> Iterator[LlmRig]:
    """`keyfob serve` in a process of its own, with an empty model table."""
    with LlmServer(gap) as api, bench_at(folder, session.env) as bench:
        accounts = connected(bench, api)
        process = bench.processes.start(["keyfob", "serve", "--port", "0"], bench.env)
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.fullmatch(r"Listening on (http://127\.0\.0\.1:\d+)\n", line)
        assert found, line
        try:
            yield LlmRig(bench, api, found[1], accounts)
        finally:
            process.terminate()
            process.wait(60)
