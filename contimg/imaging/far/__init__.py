"""Sources in far sidelobes (the Sun, Cas A, Cyg A, Tau A, Vir A): found and taken out of the visibilities of a tile."""
