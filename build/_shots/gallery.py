"""The dialog Connect Account before a sign-in: further states of the gallery and of the form."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from _shots.connect import form, gallery
from _shots.registry import scene
from keyfob.desktop.shared.confirm import Confirm

if TYPE_CHECKING:
    from PySide6.QtWidgets import QWidget

    from _shots.stage import Stage
    from keyfob.desktop.connect.dialog import ConnectDialog

CLIENT_ID = "12-ab.apps.googleusercontent.com"


def wide(stage: Stage, dialog: ConnectDialog) -> ConnectDialog:
    """At the size that the dialog has on a usual screen."""
    dialog.resize(stage.theme.px(960), stage.theme.px(680))
    return dialog


def least(dialog: ConnectDialog) -> ConnectDialog:
    dialog.resize(dialog.minimumSize())
    return dialog


@scene("gallery-wide")
def usual(stage: Stage) -> QWidget:
    return wide(stage, gallery(stage, demo=False))


@scene("gallery-category")
def category(stage: Stage) -> QWidget:
    dialog = wide(stage, gallery(stage, demo=False))
    dialog.gallery.categories.choose("ai")
    return dialog


@scene("gallery-only")
def only(stage: Stage) -> QWidget:
    dialog = wide(stage, gallery(stage, demo=False))
    dialog.gallery.only.setChecked(True)
    return dialog


@scene("gallery-nexus")
def nexus(stage: Stage) -> QWidget:
    """The foot says what the account's page does besides."""
    dialog = gallery(stage, demo=False)
    dialog.gallery.search.setText("nexus")
    dialog.resize(dialog.minimumSize())
    return dialog


@scene("gallery-hidden")
def hidden(stage: Stage) -> QWidget:
    """The switch hides what matches."""
    dialog = wide(stage, gallery(stage, demo=False))
    dialog.gallery.only.setChecked(True)
    dialog.gallery.search.setText("google")
    return dialog


@scene("gallery-own-server")
def own_server(stage: Stage) -> QWidget:
    dialog = wide(stage, gallery(stage, demo=False))
    dialog.gallery.show_own_server()
    return dialog


@scene("gallery-blocked")
def blocked(stage: Stage) -> QWidget:
    """Claude's terms forbid the browser; its API key works."""
    dialog = wide(stage, gallery(stage, "claude", demo=False))
    dialog.gallery.method.setCurrentIndex(dialog.gallery.method.findData("oauth"))
    return dialog


@scene("gallery-keys")
def keys(stage: Stage) -> QWidget:
    """The tiles have the keyboard's focus, and the next section is in sight."""
    dialog = wide(stage, gallery(stage, demo=False))
    dialog.show()
    stage.settle()
    page = dialog.gallery
    page.list.setFocus()
    page.list.setCurrentRow(next(n for n, card in enumerate(page.cards) if card.id == "google"))
    return dialog


@scene("gallery-200")
def many(stage: Stage) -> QWidget:
    dialog = wide(stage, gallery(stage, demo=False))
    cards = dialog.gallery.cards
    more = (replace(c, id=f"{c.id}-{n}", title=f"{c.title} {n}") for c in cards for n in range(1, 5))
    dialog.show_cards(tuple(more))
    return dialog


@scene("gallery-least")
def gallery_least(stage: Stage) -> QWidget:
    return least(gallery(stage, demo=False))


@scene("form-choices")
def choices(stage: Stage) -> QWidget:
    return wide(stage, form(stage, "github", "device"))


@scene("form-token")
def token(stage: Stage) -> QWidget:
    return wide(stage, form(stage, "github", "api_key"))


@scene("form-server")
def server(stage: Stage) -> QWidget:
    return wide(stage, form(stage, "gitlab", "oauth"))


@scene("form-ticked")
def ticked(stage: Stage) -> QWidget:
    dialog = wide(stage, form(stage, "google", "oauth"))
    dialog.form.fields["client_id"].setText(CLIENT_ID)
    dialog.form.fields["client_secret"].setText("sample")
    return dialog


@scene("form-malformed")
def malformed(stage: Stage) -> QWidget:
    dialog = wide(stage, form(stage, "google", "oauth"))
    dialog.form.fields["client_id"].setText("12-ab")
    dialog.form.go.click()
    return dialog


@scene("form-saved-app")
def saved_app(stage: Stage) -> QWidget:
    engine = stage.engine([])
    engine.clients.keep(engine.providers.get("github"), {}, "Ov23liXk0a7Qd9TnB2mE", None)
    return wide(stage, form(stage, "github", "device", engine))


@scene("form-least")
def form_least(stage: Stage) -> QWidget:
    return least(form(stage, "github", "device"))


@scene("form-discard")
def discard(stage: Stage) -> QWidget:
    """The question before a filled form closes."""
    dialog = form(stage, "google", "oauth")
    dialog.form.fields["client_id"].setText(CLIENT_ID)
    dialog.show()
    dialog.reject()
    question: Confirm | None = dialog.findChild(Confirm)
    assert question is not None
    return question
