"""The archive for people: tables, sky map and gallery of all published mosaics."""
