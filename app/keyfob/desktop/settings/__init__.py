"""The Settings dialog and the controller that saves each change at once.

What the settings mean is in `core/settings.py`.
"""
