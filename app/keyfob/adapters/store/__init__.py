"""What Keyfob keeps on disk apart from the secrets: accounts, journal,
history, settings, and the locks on them.

No token, code or key is ever stored here.
"""
