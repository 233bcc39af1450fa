"""Tests of how `make coverage` judges."""
