"""The page Tools and updates, the dialog of Keyfob's own update, and the version at the sidebar's foot."""
