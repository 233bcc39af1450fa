"""`make coverage`: how much of the modules that only decide (PURE) the unit tests go through, by line and by branch."""
