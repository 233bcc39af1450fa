"""Tests of what tests build the world from."""
