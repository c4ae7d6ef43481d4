"""Providers as data: TOML presets read, judged and turned into frozen `core.provider.Provider` values.

`schema` lists the keys that `core.provider` declares, `schema_check` reads a table by them, `checks` finds every fault
of a file, `inheritance` resolves `extends`, `catalogue` finds and caches the files, `substitute` puts the user's
inputs in, and `toml_text` writes a preset's table. Nothing here talks to a network or runs anything a preset says.
"""
