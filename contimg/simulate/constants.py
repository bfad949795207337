"""Numbers of the telescope and its correlator.

Sources: ``dsa110-meridian-fs`` (the program that writes the real files) for the layout, the channelisation
and the timing; ``dsa110-antpos`` for the site. The simulator keeps its own copies on purpose: it shares no
geometry, beam, naming or frequency code with the pipeline that it tests.
"""

from __future__ import annotations

SPEED_OF_LIGHT_M_S = 299_792_458.0
SECONDS_PER_DAY = 86_400.0
SIDEREAL_RATE_RAD_S = 7.292_115_146_706_979e-5
"""Rotation of the Earth against the stars (ERFA ``eraEra00``), rad per UT1 second."""

SITE_LATITUDE_RAD = 0.6498455107238486
SITE_LONGITUDE_RAD = -2.064427799136453
SITE_ALTITUDE_M = 1188.0519
"""Reference point of the array: CASA's observatory ``OVRO_MMA``, as ``dsa110-antpos`` quotes it."""

TELESCOPE_STATIONS = 117
DISH_DIAMETER_M = 4.65
BLOCKAGE_DIAMETER_M = 0.4064

SUBBANDS = 16
RAW_CHANNELS_PER_SUBBAND = 384
REAL_CHANNELS_PER_SUBBAND = 48
F0_MHZ = 1530.0
RAW_CHANNEL_MHZ = 250.0 / 8192
FIRST_RAW_CHANNEL = 1024
SUBBAND_WIDTH_MHZ = RAW_CHANNELS_PER_SUBBAND * RAW_CHANNEL_MHZ
"""11.71875 MHz."""

INTEGRATION_S = 96 * 0.134217728
"""Spacing of the integrations, 12.884901888 s."""
STORED_INTEGRATION_S = 12.884902000427246
"""The same rounded to float32, as the files state it."""
REAL_INTEGRATIONS_PER_FILE = 24
SAMPLES_PER_INTEGRATION = 96.0

POLARIZATIONS = (-5, -6)
"""XX and YY in AIPS numbering."""

UVW_REFERENCE_MJD = 58849.0
"""Epoch for which the correlator computes (u, v, w), MJD; hence the small rotation of its u and v."""

DEFAULT_SEFD_JY = 5800.0
CORRELATOR_UNITS_PER_JY = 1.0 / 220.0
"""Correlator units per Jy: 1/220, from a real gain solution of 2026-01-25 (220.47 Jy per unit)."""

REFERENCE_FREQUENCY_HZ = 1.4e9
PROGRAM = "contimg simulate"
