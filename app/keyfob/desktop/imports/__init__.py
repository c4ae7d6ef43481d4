"""Importing keys from the plaintext files of other tools: the offer at first start, and its dialog.

`tools` knows which files and formats there are.
"""
