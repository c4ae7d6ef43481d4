"""Providers as data: reads TOML presets, checks them and turns them into
frozen `core.provider.Provider` values.

`schema` lists the keys that `core.provider` declares, `schema_check` reads a table by them, `checks` finds
all errors in a file, `inheritance` resolves `extends`, `catalogue` finds and caches the files, `substitute`
fills in the user's inputs, and `toml_text` writes a preset's table. Nothing here uses a network or runs
anything that a preset says.
"""
