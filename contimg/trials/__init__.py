"""Trials of the archive's code: simulated processes that are killed, disks that fail, power that is cut, by a seed."""
