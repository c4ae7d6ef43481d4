"""What every window uses: theme, widgets, text from outside, and the
code that leaves and reaches the GUI thread.

Nothing here knows an account or a service.
"""
