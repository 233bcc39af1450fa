"""The campaigns on real kernels: numbers used again and again (reuse), and all that happens, at random (walk)."""
