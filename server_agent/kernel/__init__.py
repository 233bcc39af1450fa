"""EFFECT: everything the agent reads from or changes in the kernel, one subject a module."""
