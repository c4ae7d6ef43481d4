"""The Settings dialog and the controller that saves each change at once.

`core/settings.py` defines the settings.
"""
