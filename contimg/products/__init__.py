"""Products of the rules: their twins, the gates that judge them, and what they were made from."""
