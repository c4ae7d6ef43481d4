"""The parts of build/freeze."""
