"""What CASA reads as its site configuration (``CASASITECONFIG``); `contimg.calibration.casa` points to this file.

CASA executes the text and takes over the names that it knows; it never imports this as a module.
Measures data come from the PyPI package ``casadata``, nothing is fetched from the network, and
nothing is written to the user's home or the working directory.
"""

import casadata as _casadata

measurespath = _casadata.datapath
datapath = [_casadata.datapath]
measures_auto_update = False
data_auto_update = False
skipnetworkcheck = True
logfile = "/dev/null"  # casatools 6.7 ignores `nologfile`; contimg.calibration.casa opens the log that was asked for
nologfile = True
nologger = True
nogui = True
agg = True
cachedir = "/dev/null"
telemetry_enabled = False
crashreporter_enabled = False
casaconfig_verbose = 0
