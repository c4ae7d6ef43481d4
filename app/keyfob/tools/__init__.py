"""Other programs that Keyfob gives tokens to: how each is configured,
how that is undone, and what can be imported from it.

Nothing here talks to a provider.
"""
