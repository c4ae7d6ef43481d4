"""Keyfob: connect online accounts once, and give every tool on the machine a fresh token."""

__version__ = "0.1.0"
