"""Implementations of the protocols in `ports.py`: one file for each port and technology.

Adapters make no decisions about accounts. They import `core` and `ports`, and no service.
"""
