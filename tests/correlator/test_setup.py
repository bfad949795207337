from contimg.correlator.setup import NAMES, CorrelatorSetup, setup_differences, strips_apart_deg

WHOLE = {"applied_delays_sha256": "d", "antenna_order_sha256": "a", "fs_table": "t", "n_channels": 768}


def test_the_items_that_differ_are_named():
    one = CorrelatorSetup(**WHOLE)
    assert setup_differences(one, CorrelatorSetup(**WHOLE)) == {}
    for key, name in NAMES.items():
        other = CorrelatorSetup(**WHOLE | {key: "another"})
        assert setup_differences(one, other) == setup_differences(other, one) == {key: name}


def test_what_is_not_known_contradicts_nothing():
    assert setup_differences(CorrelatorSetup(**WHOLE), CorrelatorSetup()) == {}
    assert setup_differences(CorrelatorSetup(**WHOLE), CorrelatorSetup(), strict=True) == NAMES
    assert CorrelatorSetup.of_facts({"fs_table": "t", "telescope": "OVRO"}) == CorrelatorSetup(fs_table="t")
    assert CorrelatorSetup.of_facts(WHOLE) == CorrelatorSetup(**WHOLE)


def test_setups_of_older_plans_are_read():
    assert CorrelatorSetup.from_json(["d", "a", "t"]) == CorrelatorSetup("d", "a", "t")
    assert CorrelatorSetup.from_json([]) == CorrelatorSetup()
    assert CorrelatorSetup.from_json(WHOLE) == CorrelatorSetup(**WHOLE)


def test_strips():
    assert strips_apart_deg(30.4, 30.45, 0.1) is None
    assert strips_apart_deg(30.4, 54.6, 1.0) == strips_apart_deg(54.6, 30.4, 1.0) == 54.6 - 30.4
    assert strips_apart_deg(float("nan"), 30.4, 1.0) is not None
