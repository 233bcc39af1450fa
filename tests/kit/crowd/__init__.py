"""A host that is larger than the lab can be: many hubs, containers and devices, all of it simulated in plain files.

The agent's own observer, executor, ledger and loop run on it. What is not real is the kernel: sysfs is a folder, a
right is a file, an event is a call.
"""
