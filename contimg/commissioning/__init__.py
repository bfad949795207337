"""First light: what raw files of one calibrator transit say about the telescope's conventions, without calibration."""
