"""The command line: one file for each command. A command calls the
engine's services and prints what they return.
"""
