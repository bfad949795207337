"""The light look into a file agrees with the whole header, and no damage goes past it."""

import random

import pytest

from contimg.correlator import hdf5, probe
from contimg.correlator.files import FileFault
from contimg.errors import InputError
from contimg.simulate import GainErrors, NightOptions, simulate_night


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    options = NightOptions(tiles=1, antennas=4, channels=2, integrations=4, sources=1, gains=GainErrors.none())
    return sorted((simulate_night(tmp_path_factory.mktemp("probe") / "night", options).out / "incoming").iterdir())


def test_it_says_what_the_header_says(files):
    for path in files:
        said, header = probe.look(path), hdf5.read_header(path)
        assert (said.start_mjd, said.end_mjd) == (header.start_mjd, header.end_mjd)
        assert said.integration_s == header.integration_s
        assert said.dec_app_deg == pytest.approx(30.3695, abs=1e-4)  # 3C286, of date
        assert (said.longitude_deg, said.latitude_deg) == (header.longitude_deg, header.latitude_deg)
        assert said.subband == int(path.name[-7:-5])
        assert str(said.shape) == "10 baselines, 2 channels, XX YY"
        assert said.synthetic


def test_bytes_that_were_changed_anywhere_never_break_the_plan(files, tmp_path):
    sound, dice = files[3].read_bytes(), random.Random(20260211)
    path = tmp_path / files[3].name
    outcomes = {"sound": 0, "fault": 0}
    for _ in range(300):
        content = bytearray(sound)
        for _ in range(dice.choice([1, 4, 30, 300])):
            content[dice.randrange(len(content))] = dice.randrange(256)
        path.write_bytes(content)
        try:
            probe.look(path)
            outcomes["sound"] += 1
        except probe.FileFault as fault:
            assert fault.code and path.name in str(fault)
            outcomes["fault"] += 1
    assert min(outcomes.values()) > 50  # most bytes are data, some are structure


def test_every_fault_of_a_file_is_an_input_error_with_a_code(files, tmp_path):
    assert issubclass(probe.FileFault, InputError)
    with pytest.raises(FileFault, match="was moved or deleted") as caught:
        probe.look(tmp_path / files[0].name)
    assert caught.value.code == "vanished"
