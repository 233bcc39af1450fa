"""Tests of the repository itself: requirements, rules between modules, what an installation holds."""
