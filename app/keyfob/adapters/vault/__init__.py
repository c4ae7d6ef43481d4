"""Places for secrets: the keychains of each system, `pass`, and the
encrypted file, with their processes and prompts.

No secret is written anywhere else, and none in plaintext.
"""
