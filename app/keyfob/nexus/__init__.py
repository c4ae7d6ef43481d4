"""Nexus Mods, with the account that Keyfob keeps signed in: who it is, its mods and their updates, downloads.

This package is also the example of a program that uses Keyfob: for credentials it calls `keyfob.Auth` and
`keyfob.accounts`, as any program can (docs/nexus.md). It knows no engine and no window.
"""
