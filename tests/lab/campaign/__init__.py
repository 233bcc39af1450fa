"""The campaigns on real kernels: numbers used again (reuse), storms of events (storm), all at random (walk)."""
