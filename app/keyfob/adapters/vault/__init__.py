"""Places for secrets: the keychains of each system, `pass`, and the encrypted file, with the processes and prompts around them.

No secret is written anywhere else, and none in plaintext.
"""
