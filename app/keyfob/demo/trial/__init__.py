"""Plays any preset's provider on loopback, so that `keyfob providers try` can run a sign-in without it.

Every address of the preset leads to a server of ours. The engine is a real one with a home of its own, which
is deleted afterwards: nothing is sent to the provider, and nothing is kept.
"""
