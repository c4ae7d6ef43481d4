"""SDKs and coding agents, as `keyfob wire --through-gateway` sets them up, get answers from an account."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from support.llm_rig import LlmRig, llm_rig
from support.session import DesktopSession

pytestmark = [pytest.mark.servers, pytest.mark.network, pytest.mark.keychain]
OPENAI = (
    "import openai; made = openai.OpenAI().responses.create(model='gpt-5.5', input='Reply OK.'); "
    "print(made.output_text)"
)
ANTHROPIC = (
    "import anthropic; made = anthropic.Anthropic().messages.create(model='gpt-5.5', max_tokens=99, "
    "messages=[{'role': 'user', 'content': 'Reply OK.'}]); print(made.content[-1].text)"
)


@pytest.fixture(scope="module")
def shared(session: DesktopSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlmRig]:
    with llm_rig(tmp_path_factory.mktemp("agents"), session) as made:
        yield made


@pytest.fixture
def rig(shared: LlmRig) -> Iterator[LlmRig]:
    yield shared
    assert shared.bench.keyfob("unwire", "--all", "--yes").code == 0


def wire(rig: LlmRig, tool: str, provider: str = "codex-here") -> str:
    done = rig.bench.keyfob(
        "wire", tool, rig.accounts[provider], "--through-gateway", "--gateway", rig.url, "--yes"
    )
    assert done.code == 0, done.err
    return done.out


@pytest.mark.parametrize(("sdk", "program"), [("openai", OPENAI), ("anthropic", ANTHROPIC)])
def test_an_sdk_by_its_variables_alone(rig: LlmRig, sdk: str, program: str) -> None:
    env = dict(line.split("=", 1) for line in wire(rig, sdk).splitlines())
    assert set(env) == {f"{sdk.upper()}_BASE_URL", f"{sdk.upper()}_API_KEY"}
    rig.api.expire()
    ran = rig.bench.run(sys.executable, "-c", program, **env, PYTHONWARNINGS="ignore")
    assert (ran.code, ran.out.strip()) == (0, "OK."), ran.err
    path, headers, _ = rig.last()
    assert path.endswith("/codex/responses")
    assert env[f"{sdk.upper()}_API_KEY"] not in str(headers)
    assert rig.bench.keyfob("unwire", sdk, "--yes").code == 0
    refused = rig.bench.run(sys.executable, "-c", program, **env, PYTHONWARNINGS="ignore")
    assert refused.code != 0
