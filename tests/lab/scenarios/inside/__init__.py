"""Programs that a scenario runs inside a guest."""
