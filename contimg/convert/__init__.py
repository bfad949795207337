"""One tile from its subband files to a flagged Measurement Set with one phase centre."""
