"""SDKs and coding agents, as `keyfob wire --through-gateway` sets them up, get answers from an account."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from support.llm_clients import claude_program, codex_program
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


CODEX = """\
model = "gpt-5.5"
check_for_update_on_startup = false

[analytics]
enabled = false

[otel]
exporter = "none"
"""


def test_codex_by_its_own_configuration(rig: LlmRig) -> None:
    config = rig.bench.home / ".codex" / "config.toml"
    config.parent.mkdir()
    config.write_text(CODEX)
    wire(rig, "codex")
    rig.api.expire()
    ran = rig.bench.run(
        str(codex_program()), "exec", "--skip-git-repo-check", "--ephemeral", "Reply OK.",
        CODEX_HOME=str(config.parent),
    )  # fmt: skip
    assert (ran.code, ran.out.strip()) == (0, "OK."), ran.err
    key = rig.bench.keyfob("credential", "gateway", "codex").out.strip()
    assert rig.bench.files_with(key) == [rig.bench.keyfob_home / "state" / "gateway-keys" / "codex"]
    assert rig.bench.keyfob("unwire", "codex", "--yes").code == 0
    assert config.read_text() == CODEX


def test_claude_code_by_its_own_settings(rig: LlmRig) -> None:
    settings = rig.bench.home / ".claude" / "settings.json"
    settings.parent.mkdir()
    settings.write_text(old := '{\n  "model": "gpt-5.5"\n}\n')
    wire(rig, "claude")
    rig.api.expire()
    ran = rig.bench.run(
        str(claude_program()), "-p", "Reply OK.", "--output-format", "json",
        CLAUDE_CONFIG_DIR=str(settings.parent), CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC="1",
    )  # fmt: skip
    assert ran.code == 0, ran.out + ran.err
    assert ran.json["result"] == "OK."
    key = rig.bench.keyfob("credential", "gateway", "claude").out.strip()
    assert rig.bench.files_with(key) == [rig.bench.keyfob_home / "state" / "gateway-keys" / "claude"]
    assert rig.bench.keyfob("unwire", "claude", "--yes").code == 0
    assert settings.read_text() == old
