"""A night in names and header facts, of which no file is written; and copies of a simulated one."""

import shutil
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import pytest

from contimg import naming
from contimg.config import Config
from contimg.correlator import inbox
from contimg.correlator.facts import FileFacts
from contimg.plan.make_plan import make_plan
from contimg.simulate import NightOptions, simulate_night
from contimg.times import mjd_from_datetime
from tests.plan.copies import OPTIONS, Copy

START = datetime(2026, 2, 11, 0, 26, 49, tzinfo=UTC)
CADENCE_S = 309.2376
LONG_AFTER = START + timedelta(days=3)


@dataclass
class Night:
    """File names and what their headers say; tests change both before planning."""

    facts: dict[str, FileFacts]
    config: Config

    def plan(
        self, *, order=None, committed=(), records=(), calibrators=("",), now=LONG_AFTER, unsteady=(), without=(),
        **config,
    ):  # fmt: skip
        settings = self.config.model_copy(update=config)
        listing = inbox.arrange(order or sorted(self.facts), settings.ingest)
        names = dict.fromkeys(calibrators, "3C286") | dict.fromkeys(unsteady, "3C454.3")
        find = lambda tile: names.get(tile.id)  # noqa: E731
        empty = {tile_id(number) for number in without}
        return make_plan(
            listing, self.facts, committed, records, find, settings, now, ["3C454.3"], lambda tile: tile.id in empty
        )

    def drop(self, tile, subband):
        return self.facts.pop(self.path(tile, subband))

    def path(self, tile, subband):
        return next(p for p in self.facts if p.endswith(f"_sb{subband:02d}.hdf5") and self._tile(p) == tile)

    def change(self, tile, subband, **facts):
        path = self.path(tile, subband)
        self.facts[path] = replace(self.facts[path], **facts)

    def _tile(self, path):
        moment = naming.SubbandName.parse(path.rpartition("/")[2]).time
        return round((moment - START).total_seconds() / CADENCE_S)


def tile_id(number):
    return naming.id_from_datetime(START + timedelta(seconds=int(number * CADENCE_S + 1.5)))


@pytest.fixture
def make_night(tmp_path):
    def make(tiles=10, *, skip=(), dec_deg=30.4, config=None):
        facts = {}
        for number in range(tiles):
            if number in skip:
                continue
            start = START + timedelta(seconds=number * CADENCE_S)
            first = mjd_from_datetime(start + timedelta(seconds=1.5))
            for subband in range(16):
                jitter = timedelta(seconds=(subband * 7 + number) % 3)  # hosts disagree by 0-2 s
                name = naming.SubbandName(start.replace(microsecond=0) + jitter, subband)
                facts[f"/in/{name}"] = FileFacts(
                    size=1000,
                    mtime_ns=0,
                    start_mjd=first,
                    end_mjd=first + 23 * 12.884902 / 86400,
                    integration_s=12.884902,
                    dec_app_deg=dec_deg,
                    longitude_rad=-2.064,
                    latitude_rad=0.6498,
                )
        return Night(facts, config or Config())

    return make


@pytest.fixture(scope="session")
def three_tiles(tmp_path_factory):
    return simulate_night(tmp_path_factory.mktemp("faults") / "night", OPTIONS)


@pytest.fixture(scope="session")
def fewer_antennas(tmp_path_factory):
    options = NightOptions(**{**OPTIONS.__dict__, "antennas": 3})
    return simulate_night(tmp_path_factory.mktemp("fewer") / "night", options)


@pytest.fixture
def copy(three_tiles, fewer_antennas, tmp_path):
    shutil.copytree(three_tiles.out / "incoming", tmp_path / "incoming")
    return Copy(tmp_path, three_tiles, fewer_antennas)
