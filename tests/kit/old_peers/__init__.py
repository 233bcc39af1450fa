"""Peers of a QVD 4.2 installation, written from its contract alone: nothing of the product is imported here."""
