"""Tests of the laboratory itself that need no guest."""
