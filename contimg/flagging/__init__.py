"""Radio-frequency interference and bad data: the search and its flags."""
