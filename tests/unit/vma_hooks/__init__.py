"""Tests of the image's side."""
