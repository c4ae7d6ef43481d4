"""The page Check everything: the doctor's checks in the window, each with the button for its problem."""
