"""What tests build the world from: a sysfs that looks like the one of the kernel."""
