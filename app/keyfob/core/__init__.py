"""The values and rules of Keyfob: secrets, presets, accounts, grants, errors, renewal times.

Everything else imports it. It uses the standard library alone, and does no I/O, knows no clock and no randomness.
"""
