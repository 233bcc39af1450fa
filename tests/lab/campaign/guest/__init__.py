"""What runs in the guests of a walk."""
