from pathlib import Path

import pytest
import yaml

from contimg import config
from contimg.errors import ConfigError

ROOT = Path(__file__).parents[2]

FIXED_KEYS = {  # users' overlays rely on them
    "paths": {"incoming", "stage", "products", "state"},
    "ingest": {"subbands", "min_subbands", "cluster_s", "settle_s", "deadline_s"},
    "group": {"tiles", "min_tiles", "max_gap_s", "stride"},
    "calibration": {"calibrators", "refant", "policy", "bandpass_validity_h", "gain_validity_min"},
    "sky": {"catalogue"},
    "beam": {"dish_diameter_m", "blockage_diameter_m"},
    "image": {"size_px", "cell_arcsec", "robust", "pb_limit", "backend"},
    "mosaic": {"cell_arcsec"},
    "crossmatch": {"enabled", "radius_arcsec"},
    "publish": {"auto"},
    "registry": {"url"},
}


def test_config_yaml_says_what_the_models_say():
    assert (ROOT / "config.yaml").read_text() == config.as_yaml(), "run `make config`"


def test_defaults_are_valid_and_paths_become_absolute(tmp_path):
    loaded = config.load_files([ROOT / "config.yaml"], base=tmp_path)
    assert loaded.paths.stage == tmp_path / "stage"
    assert loaded == config.load({}, base=tmp_path)


def test_every_key_says_what_it_means_and_has_its_unit():
    def check(section, prefix):
        for name, field in section.model_fields.items():
            value = field.get_default(call_default_factory=True)
            if isinstance(value, config.Section):
                check(type(value), f"{prefix}{name}.")
            else:
                assert field.description, f"{prefix}{name}"

    check(config.Config, "")


def test_the_fixed_keys_are_there():
    content = yaml.safe_load((ROOT / "config.yaml").read_text())
    for section, keys in FIXED_KEYS.items():
        assert keys <= set(content[section]), section
    assert {"nights", "keep"} <= set(content)


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ({"image": {"robst": 0}}, r"'image.robst' is unknown \(did you mean 'image.robust'\?\)"),
        ({"imge": {}}, r"'imge' is unknown \(did you mean 'image'\?\)"),
        (
            {"image": {"cell_arcsec": "3 arcsec"}},
            "'image.cell_arcsec' must be a number in arcseconds, but is '3 arcsec'",
        ),
        ({"image": {"cell_arcsec": -3.0}}, "'image.cell_arcsec' must be greater than 0 in arcseconds"),
        ({"ingest": {"subbands": 15.5}}, "'ingest.subbands' must be an integer"),
        ({"image": {"backend": "aips"}}, "'image.backend' must be 'contimg' or 'wsclean'"),
        ({"image": 5}, "section 'image' must hold keys"),
        ({"nights": ["11 February"]}, "nights: 11 February is no date"),
        ({"ingest": {"min_subbands": 17}}, "ingest.min_subbands is larger than ingest.subbands"),
        ({"group": {"stride": 11}}, "group.stride is larger than group.tiles"),
        ({"paths": {"stage": "a", "products": "a/b"}}, "paths.stage .* and paths.products .* overlap"),
        ({"keep": ["everything"]}, "'keep.0' must be 'ms' or 'calibrated'"),
    ],
)
def test_a_bad_key_is_one_sentence_that_names_it(content, says, tmp_path):
    with pytest.raises(ConfigError, match=says) as caught:
        config.load(content, base=tmp_path)
    assert "\n" not in str(caught.value)


def test_overlays_replace_single_keys(tmp_path):
    one, two = tmp_path / "one.yaml", tmp_path / "two.yaml"
    one.write_text("image: {robust: 0.0, cell_arcsec: 4.0}\n")
    two.write_text("image: {robust: -0.5}\n")
    image = config.load_files([ROOT / "config.yaml", one, two], base=tmp_path).image
    assert (image.robust, image.cell_arcsec, image.pb_limit) == (-0.5, 4.0, 0.2)


def test_files_that_are_no_config_are_named(tmp_path):
    bad = tmp_path / "bad.yaml"
    bad.write_text("image: [\n")
    with pytest.raises(ConfigError, match=r"bad.yaml is not valid YAML at line \d"):
        config.load_files([bad])
    bad.write_text("just a text\n")
    with pytest.raises(ConfigError, match=r"bad\.yaml holds no keys"):
        config.load_files([bad])
    with pytest.raises(ConfigError, match=r"absent\.yaml does not exist"):
        config.load_files([tmp_path / "absent.yaml"])


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ({"offset_deg": "atuo"}, "'beam.offset_deg' must be 'auto' or a list in degrees, but is 'atuo'"),
        ({"offset_deg": [1]}, "'beam.offset_deg' must be 'auto' or a list of at least 2 items, not 1 in degrees"),
        ({"offset_deg": [1, "x"]}, "'beam.offset_deg.1' must be 'auto' or a number, but is 'x'"),
        ({"fwhm_scale": 3}, "'beam.fwhm_scale' must be 'auto' or less than or equal to 2, but is 3"),
        ({"fwhm_scale": None}, "'beam.fwhm_scale' must be 'auto' or a number, but is null"),
    ],
)
def test_a_key_that_may_be_a_word_or_a_number_says_both(section, said):
    with pytest.raises(ConfigError) as error:
        config.load({"beam": section})
    assert said in str(error.value)


def test_a_beam_may_be_measured():
    beam = config.load({"beam": {"offset_deg": "auto", "fwhm_scale": 1.05}}).beam
    assert (beam.measures, beam.offset, beam.width) == ((True, False), (0.0, 0.0), 1.05)
