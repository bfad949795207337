"""What stops a run before its first job: each fault alone, then all at once."""

import subprocess
import time

import h5py
import numpy as np
import pytest
from astropy.io import fits

from contimg.errors import ConfigError
from contimg.operations import references
from contimg.operations.preflight import checked_plan
from contimg.simulate import NightOptions
from tests.support.inboxes import inbox_config, simulated_inbox
from tests.support.surveys import write_test_strip

# Longest baseline about 250 m, 1.53 GHz: lambda/B is 160 arcsec.
NIGHT = NightOptions(
    tiles=2, antennas=8, channels=2, sources=4, calibrator="3C286",
    max_baseline_m=250.0,
)  # fmt: skip
HEADER = "name,ra_deg,dec_deg,flux_jy\n"
NEAR = "A,202.78,30.51,5.0\n"


@pytest.fixture(scope="module")
def incoming(tmp_path_factory):
    return simulated_inbox(tmp_path_factory.mktemp("night"), NIGHT)


@pytest.fixture
def configured(incoming, tmp_path):
    """Return a function that makes a configuration of the night in which everything is right but what a test says."""
    catalogue = tmp_path / "catalogue.csv"
    catalogue.write_text(HEADER + NEAR)

    def configure(**sections):
        sky = {"catalogue": str(catalogue)} | sections.pop("sky", {})
        return inbox_config(incoming, tmp_path, sky=sky, **sections)

    return configure


def refused(config, *parts, **options):
    with pytest.raises(ConfigError) as error:
        checked_plan(config, **options)
    said = str(error.value)
    for part in parts:
        assert part in said
    return said


def test_a_night_that_can_be_done_is_planned_quickly(configured):
    config = configured()
    plan = checked_plan(config)
    assert len(plan.groups) == 1 and len(plan.tiles) == 2
    started = time.perf_counter()
    checked_plan(config)
    assert time.perf_counter() - started < 0.5
    assert not config.paths.stage.exists()  # `-n` makes no products


def test_visibilities_are_never_opened(configured, monkeypatch):
    def refuse(*_args, **_options):
        raise AssertionError("visibilities were opened")

    monkeypatch.setattr("contimg.correlator.hdf5.open_data", refuse)
    monkeypatch.setattr("contimg.correlator.hdf5.Data.__init__", refuse)
    assert checked_plan(configured()).groups


@pytest.mark.parametrize(
    ("key", "cell", "word"),
    [
        ("image", 400.0, "too few to sample it"), ("image", 0.01, "many more than it takes"),
        ("mosaic", 400.0, "too few to sample it"), ("mosaic", 0.01, "many more than it takes"),
        ("image", 340.0, "too few to sample it"), ("image", 3.0, "many more than it takes"),
    ],
)  # fmt: skip
def test_pixels_that_cannot_sample_the_beam(configured, key, cell, word):
    refused(configured(**{key: {"cell_arcsec": cell}}), f"{key}.cell_arcsec {cell:g} is ", word)


@pytest.mark.parametrize("cell", [10.0, 40.0, 60.0, 90.0, 160.0])
def test_pixels_that_may_sample_the_beam(configured, cell):
    checked_plan(configured(image={"cell_arcsec": cell}, mosaic={"cell_arcsec": cell}))


def test_an_image_wider_than_the_sky(configured):
    config = configured(image={"cell_arcsec": 160.0, "size_px": 5000}, mosaic={"cell_arcsec": 160.0})
    assert "\n" not in refused(config, "image.cell_arcsec 160 are 222 degrees, more than the sky above a tile")


@pytest.mark.parametrize(
    ("section", "key", "value", "said"),
    [
        ("image", "min_uv_klambda", 5.0, "image.min_uv_klambda 5 leaves no baseline"),
        ("calibration", "min_uv_klambda", 5.0, "calibration.min_uv_klambda 5 leaves no baseline"),
        ("calibration", "refant", "117", "calibration.refant '117' is not an antenna"),
        ("mosaic", "max_size_px", 10, "mosaic.max_size_px is 10"),
        ("crossmatch", "enabled", True, None),
        ("registry", "url", "postgresql+psycopg://nobody@127.0.0.1:1/none", "registry postgresql+psycopg://nobody@127"),
        ("registry", "url", "mysql://nobody@127.0.0.1/none", "use PostgreSQL"),
        ("registry", "url", "nonsense", "is not a database URL"),
    ],
)
def test_one_sentence_for_each_key(configured, section, key, value, said):
    config = configured(**{section: {key: value}})
    if said is None:
        checked_plan(config)
    else:
        assert "\n" not in refused(config, said)


def test_a_field_of_a_few_beams(configured):
    refused(
        configured(image={"size_px": 64, "cell_arcsec": 20.0}), "image.size_px 64", "too small to measure its noise"
    )


def test_an_image_larger_than_the_memory_counts_only_where_the_jobs_run_here(configured, monkeypatch):
    monkeypatch.setattr("contimg.imaging.limits.machine_memory", lambda: 10**8)
    refused(configured(), "needs 0.3 GB of memory, and this machine has 0.1 GB")
    checked_plan(configured(), local=False)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"channel_groups": 4}, "image.channel_groups needs image.backend contimg: set it to 1 for wsclean"),
        ({"catalogue_mask": True}, "image.catalogue_mask needs image.backend contimg: set it to false"),
        ({"size_px": 401}, "WSClean wants even sizes"),
    ],
)
def test_what_wsclean_cannot_do(configured, keys, said):
    refused(configured(image={"backend": "wsclean"} | keys), said, local=False)


def test_wsclean_must_be_installed_where_the_jobs_run(configured, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    refused(configured(image={"backend": "wsclean"}), "'wsclean', which is not installed")
    checked_plan(configured(image={"backend": "wsclean"}), local=False)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is empty"), (HEADER, "holds no source"), ("name,ra,dec,flux\nA,1,2,3\n", "has no column 'ra_deg'"),
        (HEADER + "A,202.78,30.51,-1\n", "no positive flux_jy"), (HEADER + "A,202.78,130,1\n", "no dec_deg"),
        (HEADER + "A,22.78,30.51,5.0\n", "has no source near the planned tiles (declination 30."),
        (HEADER + "A,202.78,-30.51,5.0\n", "has no source near the planned tiles"),
    ],
)  # fmt: skip
def test_catalogues_that_nothing_can_be_compared_with(configured, tmp_path, content, said):
    config = configured()
    (tmp_path / "catalogue.csv").write_text(content)
    for _ in range(2):  # what is remembered is what was right
        refused(config, "sky.catalogue", said)


@pytest.mark.parametrize(("dec_deg", "ra_deg", "said"), [
    (30.5, 202.5, None), (30.5, 22.5, "has no source near the planned tiles (declination 30."),
    (50.0, 202.5, "has no strip for declination +30."),
])  # fmt: skip
def test_the_strip_of_a_folder_is_looked_at(configured, tmp_path, dec_deg, ra_deg, said):
    write_test_strip(tmp_path / "strips" / "a.fits", dec_deg, ra_deg)
    write_test_strip(tmp_path / "strips" / "b.fits", -40.0)
    config = configured(sky={"catalogue": str(tmp_path / "strips")})
    for _ in range(2):
        if said is None:
            assert checked_plan(config).groups
        else:
            refused(config, "sky.catalogue", said)


def test_a_mended_catalogue_is_read_again(configured, tmp_path):
    (tmp_path / "catalogue.csv").write_text(HEADER)
    refused(configured(), "holds no source")
    (tmp_path / "catalogue.csv").write_text(HEADER + NEAR)
    checked_plan(configured())


def test_the_comparison_with_a_catalogue_needs_one(configured):
    said = "crossmatch.enabled needs a catalogue: name one in sky.catalogue, or set crossmatch.enabled to false"
    assert refused(configured(sky={"catalogue": None})) == said
    assert checked_plan(configured(sky={"catalogue": None}, crossmatch={"enabled": False})).groups


@pytest.mark.parametrize("key", ["sky.catalogue", "calibration.calibrators", "beam.cube"])
def test_reference_files_that_are_not_there(configured, tmp_path, key):
    section, name = key.split(".")
    for place in (tmp_path / "nothing.csv", tmp_path):
        strips = key == "sky.catalogue" and place.is_dir()
        why = "a folder without a strip: type contimg catalogue make" if strips else "which cannot be read"
        refused(configured(**{section: {name: str(place)}}), f"config key '{key}' names {place}, {why}")


def test_a_list_of_calibrators_and_a_beam_that_are_none(configured, tmp_path):
    bad = tmp_path / "bad.csv"
    bad.write_text("name\n")
    refused(configured(calibration={"calibrators": str(bad)}), "has no column 'ra_deg'")
    cube = tmp_path / "beam.fits"
    cube.write_bytes(b"no FITS")
    refused(configured(beam={"cube": str(cube)}), "config key 'beam.cube'", "is not a FITS file")
    fits.PrimaryHDU(np.ones((4, 4))).writeto(cube, overwrite=True)
    refused(configured(beam={"cube": str(cube)}), "holds 4 x 4, not east x north x frequency")


def test_roots_that_are_files_or_cannot_be_made(configured, tmp_path):
    (tmp_path / "file").write_text("")
    said = refused(
        configured(paths={"stage": str(tmp_path / "file"), "products": str(tmp_path / "file2" / "x")}),
        f"paths.stage {tmp_path / 'file'} is no folder: correct paths.stage",
    )
    assert "paths.products" not in said
    refused(
        configured(paths={"stage": str(tmp_path / "file" / "below")}),
        f"paths.stage {tmp_path / 'file' / 'below'} cannot be made, as {tmp_path / 'file'} is no folder",
    )


def mounted(place, options):
    """Mount a small filesystem; skip the test where that is not allowed."""
    place.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("mounting a filesystem needs root")


@pytest.mark.parametrize("name", ["stage", "products", "state"])
def test_roots_on_a_filesystem_that_is_read_only(configured, tmp_path, name):
    mounted(tmp_path / name, "size=1m,ro")
    try:
        refused(configured(), f"paths.{name} {tmp_path / name} is on a filesystem that is mounted read-only: mount it")
    finally:
        subprocess.run(["umount", str(tmp_path / name)], check=True)


@pytest.mark.parametrize("name", ["stage", "products"])
def test_too_little_room(configured, tmp_path, name):
    mounted(tmp_path / name, "size=1m")
    try:
        refused(configured(), f"paths.{name} {tmp_path / name} has 0.00 GB of room", "make room (contimg prune)")
    finally:
        subprocess.run(["umount", str(tmp_path / name)], check=True)


def test_a_registry_that_is_no_database(configured, tmp_path):
    config = configured()
    config.layout.registry_file.parent.mkdir(parents=True)
    config.layout.registry_file.write_bytes(b"this is not an SQLite database" * 100)
    refused(config, f"registry {config.layout.registry_file} cannot be read (file is not a database)")


def test_all_findings_at_once(configured, tmp_path):
    (tmp_path / "catalogue.csv").write_text(HEADER)
    config = configured(
        image={"cell_arcsec": 0.01, "robust": 0.0}, calibration={"calibrators": str(tmp_path / "none.csv")},
        registry={"url": "nonsense"},
    )  # fmt: skip
    said = refused(config, "nothing was started, for 3 reasons:").splitlines()
    assert len(said) == 4  # the plan needs the calibrators; the rest waits for it
    mended = configured(image={"cell_arcsec": 0.01, "robust": 0.0}, registry={"url": "nonsense"})
    said = refused(mended, "registry.url", "holds no source", "image.cell_arcsec 0.01", "a field of 0.0")
    assert len(said.splitlines()) == 5  # those and the heading


def test_a_header_that_vanished_since_is_left_to_the_plan(configured, monkeypatch):
    def gone(path):
        raise FileNotFoundError(2, "No such file or directory", str(path))

    monkeypatch.setattr("contimg.operations.imaging_options.stamp", gone)
    checked_plan(configured(image={"cell_arcsec": 400.0}, mosaic={"cell_arcsec": 400.0}))


def test_the_meridian_is_that_of_the_header(configured, incoming):
    """Right ascension on the meridian in mid-tile, against the file's own: astropy's apparent sidereal time."""
    from astropy.coordinates import EarthLocation
    from astropy.time import Time

    tile = next(iter(checked_plan(configured()).tiles.values()))
    with h5py.File(sorted(incoming.glob("*.hdf5"))[0]) as file:
        longitude = float(file["Header/longitude"][()])
    place = EarthLocation.from_geodetic(longitude, 37.23)
    expected = (
        Time(tile.mid_mjd, format="mjd", scale="utc", location=place).sidereal_time("mean", "greenwich").deg + longitude
    )
    assert references.meridian_deg(tile) == pytest.approx(expected % 360, abs=0.01)


@pytest.mark.parametrize(("dec", "ra"), [(30.5, 0.5), (30.5, 359.5), (-29.9, 180.0), (85.0, 10.0), (89.9, 10.0)])
def test_a_field_holds_its_centre_and_no_other_hemisphere(configured, dec, ra, monkeypatch):
    from types import SimpleNamespace

    monkeypatch.setattr(references, "meridian_deg", lambda tile: ra)
    cells = references.cells_of_field(SimpleNamespace(dec_app_deg=dec))
    assert references._cell(ra, dec) in cells and references._cell(ra + 1.9, dec) in cells
    assert references._cell(ra, -dec) not in cells
    if abs(dec) < 60:
        assert references._cell(ra + 20, dec) not in cells and len(cells) < 100


@pytest.mark.parametrize("place", ["ms", "ms/2026-02-11", "images/2026-02-11", "published/2026-02-11", "mosaics"])
@pytest.mark.parametrize("thing", ["file", "dangling link"])
def test_something_else_where_a_folder_belongs(configured, place, thing):
    """Snakemake ends in a traceback where a folder of its outputs is a file."""
    config = configured()
    path = config.paths.stage / place
    path.parent.mkdir(parents=True)
    if thing == "file":
        path.touch()
    else:
        path.symlink_to("nowhere")
    refused(config, f"{path} is no folder, and products belong into it: move it away")
    path.unlink()
    checked_plan(config)


@pytest.mark.parametrize("place", ["registered", "published/2026-02-11", "mosaics", "ms", "images/2026-02-11"])
def test_a_link_in_the_stage_is_said_before_the_first_job(configured, tmp_path, place):
    """Publishing refuses it at the end of the night, and nothing behind it would ever be removed by retention."""
    config = configured()
    path = config.paths.stage / place
    (tmp_path / "elsewhere" / "2026-02-11").mkdir(parents=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(tmp_path / "elsewhere")
    refused(config, f"{path} is a symlink (to {tmp_path}/elsewhere), which the stage must not lead through: mount")
    path.unlink()
    checked_plan(config)
