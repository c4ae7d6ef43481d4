"""More accounts than fit, and names that are too long."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from _shots.registry import scene
from keyfob.core.provider import Provider
from support.samples import NOW, D, M, refused, view

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from _shots.stage import Stage
    from keyfob.core.account import AccountView

PEOPLE = ("Ada", "Björn", "Chloé", "Dmitri", "Esra", "Fatima", "Giulia", "Hye-jin", "Ingrid", "João")
PROVIDERS = (
    ("github", "GitHub"), ("gitlab", "GitLab"), ("discord", "Discord"), ("dropbox", "Dropbox"),
    ("spotify", "Spotify"),
)  # fmt: skip


def accounts(count: int) -> list[AccountView]:
    """Of ten people at five providers; each seventh needs its person."""
    return [account(number) for number in range(count)]


def account(number: int) -> AccountView:
    provider, title = PROVIDERS[number // len(PEOPLE)]
    name = PEOPLE[number % len(PEOPLE)]
    made = view(
        provider, title, f"{name.casefold().encode('ascii', 'ignore').decode()}{number}", name=name,
        subject=f"{number}", expires_at=NOW + (60 + number) * M, renews_at=NOW + (50 + number) * M,
    )  # fmt: skip
    if number % 7 != 6:
        return made
    at = NOW - D
    note = refused(Provider(provider, title), 400, "invalid_grant", "Token has been revoked.", at)
    return replace(made, status="needs_sign_in", last_error=note, expires_at=at, renews_at=None)


def with_accounts(stage: Stage, count: int) -> QWidget:
    app = stage.app(stage.engine(accounts(count)))
    stage.choose(app, "github")
    return app.window


@scene("window-fifty")
def fifty(stage: Stage) -> QWidget:
    return with_accounts(stage, 50)


def named(stage: Stage, *names: str) -> QWidget:
    app = stage.app(
        stage.engine(
            [
                view("github", "GitHub", f"account-{n}", name=name, subject=str(n), plan="pro")
                for n, name in enumerate(names)
            ]
        )
    )
    stage.choose(app, "github")
    return app.window


@scene("window-long-names")
def long_names(stage: Stage) -> QWidget:
    return named(
        stage,
        "Wolfeschlegelsteinhausenbergerdorff Adolph Blaine Charles David Earl Frederick Gerald Hubert Irvin",
        "a" * 120,
    )
