"""EFFECT: the few effects that all three parts need: files, sockets, sysfs."""
