"""The deep template of a strip: the weighted mean of all its mosaics, and what differs from it in a new one."""
