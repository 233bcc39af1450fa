"""Programs that the bench runs inside the guests."""
