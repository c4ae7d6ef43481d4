"""What a preset has and an account does not: as JSON, and the command that asks for it."""

from __future__ import annotations

from keyfob.core.preset_change import PresetChange, command_for

CHANGES = (
    PresetChange("host", "git.example.org"),
    PresetChange("scope", "email"),
    PresetChange("scope", "b"),
)


def test_changes_come_back_and_unknown_ones_are_left_out() -> None:
    rows = [each.to_json() for each in CHANGES]
    assert rows[0] == {"part": "host", "value": "git.example.org"}
    assert PresetChange.all_from([*rows, {"part": "moon", "value": "x"}, {}]) == CHANGES


def test_the_command_names_the_scopes() -> None:
    assert command_for("x/a", CHANGES) == "keyfob reconnect x/a --scope email --scope b"
    assert command_for("x/a", CHANGES[:1]) == "keyfob reconnect x/a"
