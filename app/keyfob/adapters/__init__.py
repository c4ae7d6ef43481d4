"""What is outside, behind the protocols of `ports.py`: one file for each port and technology.

Adapters make no decisions about accounts. They import `core` and `ports`, and no service.
"""
