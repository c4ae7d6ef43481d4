"""What Keyfob keeps on disk beside the secrets: accounts, journal, history, settings, and the locks on them.

No token, code or key is ever stored here.
"""
