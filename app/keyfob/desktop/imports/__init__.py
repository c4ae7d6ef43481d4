"""Importing keys from the plaintext files of other tools: the offer at first start, and its dialog.

Which files and formats there are is known to `tools`.
"""
