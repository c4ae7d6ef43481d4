"""The Connect Account dialog: gallery, form, waiting page and outcome.

The presenter drives the sign-in; pages only show models and emit what the user asked for.
"""
