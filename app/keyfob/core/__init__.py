"""The values and rules of Keyfob: secrets, presets, accounts, grants, errors, renewal times.

Everything else imports this package. It uses only the standard library, and has no I/O, clock or randomness.
"""
