"""The deep template of a strip (weighted mean of its mosaics), and differences of new mosaics from it."""
