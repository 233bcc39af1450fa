"""The campaigns' own reasoning: the model of a walk, its steps, and what counts as a broken promise."""
