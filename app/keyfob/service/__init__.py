"""The use cases: what a face may ask of Keyfob, built on ports and protocol flows.

`accounts` works with accounts that exist; `sign_in` creates new ones. No
I/O, clock or randomness: they are passed in.
"""
