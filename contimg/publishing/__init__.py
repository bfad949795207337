"""The parts of publishing: safe file operations, copying, claims, markers, decisions of operators."""
