"""Tests of the fuzzing itself: the inputs that are kept, and that no parser lacks a target."""
