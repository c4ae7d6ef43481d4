"""Providers as data: TOML presets read, judged and turned into frozen `core.provider.Provider` values.

`schema` is the file format, `checks` tells every fault of a file, `family` resolves `extends`, `catalogue` finds
and caches the files, `fill` puts the person's inputs in, `quirks` names what data cannot say, and `toml_text`
writes a preset's table. Nothing here talks to a network or runs anything a preset says.
"""
