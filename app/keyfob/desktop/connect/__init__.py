"""The Connect Account dialog: provider list, form, waiting page and result.

The presenter runs the sign-in; pages only show models and emit what the user asked for.
"""
