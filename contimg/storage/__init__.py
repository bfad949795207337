"""Files on disk: atomic writes, operations that follow no symlinks, file locks, and the identity of processes."""
