"""The app with a window: the only code that imports PySide6.

The folders follow the windows and dialogs; `shared` has what they have
in common. Widgets receive frozen view models and no services.
"""
