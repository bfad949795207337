"""Self-calibration: antenna gains from the bright sources of the tile itself."""
