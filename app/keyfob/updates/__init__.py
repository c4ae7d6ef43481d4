"""Newer versions: of Keyfob, and of the programs that people use with it.

`versions` reads and compares version numbers, `download` fetches a file. No Qt here. The libraries for
requests and signatures are loaded when they are used.
"""
