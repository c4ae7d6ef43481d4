"""What every window uses: theme, widgets, text from outside, and the two ways off and onto the GUI thread.

Nothing here knows an account or a service.
"""
