"""The picker: the small window in which a person chooses what the remote desktop gets."""
