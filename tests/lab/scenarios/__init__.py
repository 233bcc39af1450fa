"""Scenarios: sentences of the guide, on real kernels."""
