"""The page Tools and updates: real programs, checked and updated at a server like GitHub on loopback."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from PySide6.QtCore import QSize

from _shots.registry import scene
from keyfob.core.resources import resources
from keyfob.desktop.updates.tool_row import ToolRowView
from keyfob.tools.tool_setup import Asked
from keyfob.updates.companion_files import CompanionFiles
from support.fake_ports import NOW, ScriptedTransport
from support.release_server import ReleaseServer, Routed, install, noise, program, tar_of, with_sums, zip_of

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from _shots.stage import Stage
    from keyfob.desktop.controller import AppController
    from keyfob.desktop.updates.controller import ToolsAndUpdates

SAYS = {
    "gh": "gh version {} (2026-10-02)",
    "glab": "glab version {}",
    "rclone": "rclone v{}",
    "kubectl": '"gitVersion": "v{}",',
    "codex": "codex-cli {}",
    "node": "v{}",
    "docker": "Docker version {}, build e6534b4",
    "claude": "{} (Claude Code)",
}
NEWEST = {
    "gh": "2.86.0", "glab": "1.50.0", "rclone": "1.73.2", "kubectl": "1.36.1", "codex": "0.155.0",
    "node": "26.4.1", "docker": "29.1.0", "claude": "2.1.140",
}  # fmt: skip
SIZE = 4_000_000  # bytes of a download


class Shop:
    """The server, and this computer with some tools."""

    def __init__(self, stage: Stage) -> None:
        self.stage, self.server = stage, ReleaseServer()
        self.server.__enter__()
        stage.ending.append(self.server.close)
        self.files = stage.folder / "companions"
        shutil.copytree(resources() / "companions", self.files)
        for path in self.files.iterdir():
            text = path.read_text("utf-8")
            for host in ("https://dl.k8s.io", "https://gitlab.com", "https://nodejs.org"):
                text = text.replace(host, self.server.base)
            hosts = f'hosts = ["{self.server.host}"]\n'
            if "[install]\n" not in text:
                text += "\n[install]\n"
            path.write_text(
                text.replace("[install]\n", f"[install]\n{hosts}").replace('hosts = ["cdn.dl.k8s.io"]\n', "")
            )
        self._publish()

    def _publish(self) -> None:
        server = self.server
        version = NEWEST["gh"]
        for name, repository, tag, files in (
            ("gh", "cli/cli", f"v{version}", with_sums(self.gh(version), f"gh_{version}_checksums.txt")),
            (
                "rclone",
                "rclone/rclone",
                f"v{NEWEST['rclone']}",
                with_sums(self.rclone(NEWEST["rclone"]), "SHA256SUMS"),
            ),
            ("codex", "openai/codex", f"rust-v{NEWEST['codex']}", {}),
            ("docker", "moby/moby", f"docker-v{NEWEST['docker']}", {}),
            ("claude", "anthropics/claude-code", f"v{NEWEST['claude']}", {}),
        ):
            assert name in NEWEST
            server.publish(repository, tag, files)
        server.files["/release/stable.txt"] = f"v{NEWEST['kubectl']}\n".encode()
        server.files["/dist/index.json"] = f'[{{"version": "v{NEWEST["node"]}", "lts": "Krypton"}}]'.encode()
        latest = "/api/v4/projects/gitlab-org%2Fcli/releases/permalink/latest"
        server.files[latest] = f'{{"tag_name": "v{NEWEST["glab"]}"}}'.encode()

    def gh(self, version: str) -> Mapping[str, bytes]:
        files = {}
        for system in ("linux_amd64", "linux_arm64"):
            inner = f"gh_{version}_{system}"
            files[f"{inner}.tar.gz"] = tar_of(
                f"{inner}/bin/gh", program(SAYS["gh"].format(version)), LICENSE=noise(SIZE)
            )
        return files

    def rclone(self, version: str) -> Mapping[str, bytes]:
        return {
            f"rclone-v{version}-linux-{machine}.zip": zip_of(
                f"rclone-v{version}-linux-{machine}/rclone", program(SAYS["rclone"].format(version))
            )
            for machine in ("amd64", "arm64")
        }

    def have(self, **versions: str) -> None:
        """These tools, in the person's own folder."""
        for name, version in versions.items():
            install(self.stage.folder / ".local" / "bin", name, SAYS[name].format(version))

    def linked(self, name: str, version: str, place: str) -> None:
        """A tool that something else has installed."""
        path = install(self.stage.folder / place, name, SAYS[name].format(version))
        link = self.stage.folder / ".local" / "bin" / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)

    def window(self, *, checked: bool = True, wire: str = "", switch: bool = True) -> AppController:
        """The window with the page open. `checked`: today at 14:48. `wire`: a tool that is set up."""
        stage = self.stage
        engine = stage.engine(
            stage.views("nexusmods", "github", "openai-api"),
            transport=Routed(ScriptedTransport(stage.provider), stage.clock),
            companion_files=CompanionFiles(self.files, stage.folder / "own"),
            github=self.server.base,
        )
        if not switch:
            settings = engine.settings.load()
            engine.settings.save(replace(settings, updates=False), settings)
        if wire:
            config = stage.folder / ".codex" / "config.toml"
            config.parent.mkdir()
            config.write_text('[model_providers.work]\nbase_url = "https://api.openai.com/v1"\n')
            asked = Asked(stage.folder, ("openai-api",), {"model_provider": "work"})
            engine.tool_setup.make(wire, asked, engine.tool_setup.plan(wire, asked))
        if checked:
            stage.clock.at = NOW - timedelta(minutes=12)
            engine.companions.check()
            stage.clock.at = NOW
        app = stage.app(engine)
        updates = of(app)
        updates.nav.click()
        stage.until(lambda: updates.presenter.loaded and not updates.presenter.busy)
        return app


def of(app: AppController) -> ToolsAndUpdates:
    assert app.running is not None
    return app.running.updates


USUAL = {"glab": "1.50.0", "gh": "2.83.2", "rclone": "1.73.1", "kubectl": "1.36.1", "node": "24.12.0"}


@scene("updates")
def usual(stage: Stage) -> QWidget:
    shop = Shop(stage)
    shop.have(**USUAL)
    shop.linked("codex", "0.149.0", ".nvm/versions/node/v24/lib/node_modules/@openai/codex/bin")
    return shop.window().window


@scene("updates-wired")
def wired(stage: Stage) -> QWidget:
    """Codex gets its tokens of an account."""
    shop = Shop(stage)
    shop.have(codex="0.155.0", gh="2.86.0")
    return shop.window(wire="codex").window


@scene("updates-current")
def current(stage: Stage) -> QWidget:
    shop = Shop(stage)
    shop.have(glab="1.50.0", gh="2.86.0", kubectl="1.36.1", claude="2.1.140")
    return shop.window().window


@scene("updates-unchecked")
def unchecked(stage: Stage) -> QWidget:
    """The switch is off, so nothing was asked."""
    shop = Shop(stage)
    shop.have(glab="1.50.0", gh="2.83.2")
    return shop.window(checked=False, switch=False).window


@scene("updates-progress")
def progress(stage: Stage) -> QWidget:
    shop = Shop(stage)
    shop.have(**USUAL)
    app = shop.window()
    shop.server.gate = threading.Event()
    stage.ending.append(shop.server.gate.set)
    updates = of(app)
    updates.presenter.update("gh")
    (row,) = (each for each in updates.page.findChildren(ToolRowView) if each.key == "gh")
    stage.until(lambda: row.bar.value() > 300)
    return app.window


@scene("updates-failed")
def failed(stage: Stage) -> QWidget:
    """The download is not the file that was announced."""
    shop = Shop(stage)
    shop.have(**USUAL)
    app = shop.window()
    for path in shop.server.files:
        if path.endswith(".tar.gz"):
            shop.server.files[path] = shop.server.files[path][:-9] + b"tampered!"
    updates = of(app)
    updates.presenter.update("gh")
    stage.until(lambda: not updates.presenter.busy)
    return app.window


@scene("updates-offline")
def offline(stage: Stage) -> QWidget:
    shop = Shop(stage)
    shop.have(glab="1.50.0", gh="2.83.2", rclone="1.73.2")
    app = shop.window()
    shop.server.close()
    stage.clock.at = NOW + timedelta(days=3)
    updates = of(app)
    updates.presenter.check()
    stage.until(lambda: not updates.presenter.busy)
    return app.window


@scene("updates-limited")
def limited(stage: Stage) -> QWidget:
    """One source does not answer."""
    shop = Shop(stage)
    shop.have(glab="1.50.0", gh="2.83.2")
    app = shop.window()
    shop.server.failing["/repos/cli/cli"] = 503
    updates = of(app)
    updates.presenter.check()
    stage.until(lambda: not updates.presenter.busy)
    return app.window


@scene("updates-none")
def none(stage: Stage) -> QWidget:
    return Shop(stage).window(checked=False).window


@scene("updates-faulty")
def faulty(stage: Stage) -> QWidget:
    """A file of the user's own has errors, and a program says no version."""
    shop = Shop(stage)
    shop.have(gh="2.86.0")
    install(stage.folder / ".local" / "bin", "kubectl", "hello")
    (shop.files / "mytool.toml").write_text('id = "mytool"\ntitle = "My tool"\n')
    return shop.window().window


@scene("updates-narrow")
def narrow(stage: Stage) -> QWidget:
    shop = Shop(stage)
    shop.have(**USUAL)
    app = shop.window()
    app.window.resize(app.window.minimumSize())
    return app.window


@scene("updates-wide")
def wide(stage: Stage) -> QWidget:
    shop = Shop(stage)
    shop.have(**USUAL)
    app = shop.window()
    app.window.resize(QSize(stage.theme.px(1500), stage.theme.px(900)))
    return app.window


@scene("updates-unverified")
def unverified(stage: Stage) -> QWidget:
    """No checksum is published: the dialog that asks."""
    shop = Shop(stage)
    shop.have(rclone="1.73.1")
    path = shop.files / "rclone.toml"
    path.write_text(path.read_text().replace('checksums = "SHA256SUMS"\n', ""))
    shop.server.publish("rclone/rclone", "v1.74.0", shop.rclone("1.74.0"), digests=False)
    app = shop.window()
    updates = of(app)
    updates.presenter.update("rclone")
    stage.until(lambda: updates.question is not None)
    assert updates.question is not None
    return updates.question
