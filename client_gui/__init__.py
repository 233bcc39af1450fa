"""The user's side of USB sharing: list, tick, share, and take back."""
