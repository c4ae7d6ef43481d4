"""Other programs that Keyfob supplies: how each is set up to ask for tokens, how that is undone, and what is imported from it.

Nothing here talks to a provider.
"""
