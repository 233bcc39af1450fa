"""EFFECT: the host's side: which container has which hub, and the right to exactly its devices."""
