"""The accounts of a team in PostgreSQL, for any number of gateways on any number of machines: the locks, the
account store and the sealed secrets.

Each part has a column for the tenant, and an adapter reads and writes the rows of its own tenant alone.
"""
