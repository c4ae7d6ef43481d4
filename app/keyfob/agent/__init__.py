"""The agent: a local socket that other programs ask for tokens.

It limits who may connect and how often. It contains no account logic: it
calls the services and formats their answers.
"""
