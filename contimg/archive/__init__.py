"""Tables, sky map and gallery of all published mosaics, for people who use the archive."""
