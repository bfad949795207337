"""Facts of calibrations in words: each known fact has some, with a unit; one that is not known keeps its key."""

from contimg.cli.calibration_facts import facts_in_words

# As a twin of the simulated night has them.
ON_CALIBRATOR = {
    "type": "bandpass", "tile": "2026-02-11T11:56:45", "dec_app_deg": 30.369511598077082,
    "mid_mjd": 61082.49946652353, "start_mjd": 61082.49767695368, "end_mjd": 61082.501256093376,
    "applied_delays_sha256": "9b50ac34ece03aff" + 48 * "0", "antenna_order_sha256": "a26a0d1e00605bb0" + 48 * "0",
    "fs_table": "table.npz", "telescope": "OVRO_MMA", "band_hz": [1311265258.7890625, 1498765258.7890625],
    "n_channels": 128, "missing_subbands": [7, 12],
    "sun": {"altitude_deg": -33.735, "separation_deg": 124.45, "daytime": False},
    "clock_epoch": {"since": "", "clock": "GPS", "offset_s": -0.5, "source": "notes"},
    "first_light": {"findings": []}, "calibrator": "3C286", "flux_anchor": "Perley & Butler 2017", "bandpass": None,
    "calibrator_deg": [202.7845329, 30.509155], "apparent_flux_jy": 14.5189, "outcome": "solved", "flux_jy": 15.0637,
    "transit_mjd": 61082.49939195812, "field_sources": 30, "nsamples": 96.0, "flux_scale": "standard", "refant": "28",
    "refant_reason": "98.4% of its data usable", "refant_list": ["28"], "files": {"K": "K.cal"},
    "solutions_sha256": {"K": "0"}, "sefd_jy": {},
    "compared_with": {"id": "cal_20260210T120041", "sha256": "0"},
}  # fmt: skip


def test_facts_of_a_bandpass_on_a_calibrator():
    assert facts_in_words(ON_CALIBRATOR) == [
        ("type", "bandpass"),
        ("tile", "2026-02-11T11:56:45"),
        ("observed", "2026-02-11 11:56:39 – 12:01:49 UTC"),
        ("outcome", "solved"),
        ("calibrator", "3C286 at 202.7845°, +30.5092° (ICRS)"),
        ("transit", "2026-02-11 11:59:07 UTC"),
        ("flux density", "15.06 Jy, 14.52 Jy through the beam"),
        ("flux scale rests on", "standard"),
        ("flux anchor", "Perley & Butler 2017"),
        ("bandpass under it", "none"),
        ("other sources in the model", "30"),
        ("compared with", "cal_20260210T120041"),
        ("reference antenna", "28: 98.4% of its data usable"),
        ("pointing declination, of date", "30.3695°"),
        ("band", "1311.3 to 1498.8 MHz, 128 channels"),
        ("missing subbands", "sb07, sb12"),
        ("samples behind the noise of a visibility", "96.0"),
        ("Sun", "34° below the horizon, 124° from the phase centre"),
        ("clock of the correlator", "GPS, header minus true time -0.5 s (notes)"),
        ("telescope in the header", "OVRO_MMA"),
        ("fringe-stopping table", "table.npz"),
        ("SHA-256 of the applied delays", "9b50ac34ece03aff"),
        ("SHA-256 of the antennas' order", "a26a0d1e00605bb0"),
    ]


def test_facts_of_gains_on_the_catalogue_sky_and_of_a_beam():
    beam = {"offset_deg": [0.01, -0.02], "e_offset_deg": [0.003, 0.004], "fwhm_scale": 1.01, "e_fwhm_scale": 0.002,
            "sources": 31, "scatter": 1.0}  # fmt: skip
    found = {
        "type": "gains", "tile": "2026-02-11T12:01:54", "calibrator": None, "bandpass": "cal_20260211T115645",
        "apparent_flux_jy": 8.1234, "missing_subbands": [], "compared_with": None, "primary_beam": beam,
    }  # fmt: skip
    assert facts_in_words(found)[2:] == [
        ("calibrator", "none"),
        ("flux of the sources, through the beam", "8.12 Jy"),
        ("bandpass under it", "cal_20260211T115645"),
        ("primary beam", "+0.010 ± 0.003° east and -0.020 ± 0.004° north of the pointing, 1.010 ± 0.002 times as wide, "
                         "from 31 sources"),
        ("compared with", "none"),
        ("missing subbands", "none"),
    ]  # fmt: skip
    assert facts_in_words({"primary_beam": {"problem": "too few sources"}, "odd": [1.5]}) == [
        ("primary beam", "not measured: too few sources"), ("odd", "1.5"),
    ]  # fmt: skip
