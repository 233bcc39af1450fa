"""Tests: unit mirrors the packages, gui is offscreen Qt, lab runs real kernels under QEMU."""
