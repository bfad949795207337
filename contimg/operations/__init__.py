"""What operators do and see: status, explanations, inspection, reproduction, and what a run needs of the machine."""
