"""`make fuzz`: bytes that nobody thought of, for each parser that reads from a side that is not trusted.

`targets` has a function per parser, `corpus` a folder of inputs for each; every unit test run replays them all.
"""
