"""The command line: one file a verb. A verb asks the engine's services and prints what they answer, nothing more."""
