"""The plan: which tiles, groups and calibrations there are, and what each is made from."""
