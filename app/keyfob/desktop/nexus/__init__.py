"""The page of a Nexus Mods account: its mods, what is popular, and downloads."""
