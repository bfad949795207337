"""First light: tests of the telescope's conventions on raw files of one calibrator transit, without calibration."""
