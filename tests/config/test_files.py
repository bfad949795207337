"""Overlays as people write them: `snakemake --configfile` and `contimg -c` give one answer, typed or refused."""

import json

import pytest
from snakemake.common.configfile import load_configfile
from snakemake_interface_common.exceptions import WorkflowError

from contimg import config
from contimg.config.files import read_file
from contimg.errors import ConfigError


def by_snakemake(file, base):
    """Return the answer of the Snakefile: Snakemake reads the file, then it is checked and typed."""
    content = load_configfile(str(file))
    config.check_files([file])
    return config.load(content, base=base)


# text of an overlay -> a key of the configuration and its value
ACCEPTED = {
    "a bare date": ("nights: [2026-02-11]", "nights", ["2026-02-11"]),
    "dates in lines": ("nights:\n  - 2026-02-11\n  - '2026-02-12'\n", "nights", ["2026-02-11", "2026-02-12"]),
    "exponent without a point": ("ingest: {deadline_s: 1e3}", "ingest.deadline_s", 1000.0),
    "exponent without a sign": ("ingest: {deadline_s: 1.5e3}", "ingest.deadline_s", 1500.0),
    "exponent with all": ("ingest: {deadline_s: 1.0e+9}", "ingest.deadline_s", 1e9),
    "negative exponent": ("qa: {max_tile_pb_error: 1e-3}", "qa.max_tile_pb_error", 0.001),
    "underscores": ("image: {max_iterations: 12_000}", "image.max_iterations", 12000),
    "hexadecimal": ("image: {size_px: 0x400}", "image.size_px", 1024),
    "an integer for a real": ("image: {cell_arcsec: 3}", "image.cell_arcsec", 3.0),
    "a leading point": ("image: {pb_limit: .2}", "image.pb_limit", 0.2),
    "yes": ("crossmatch: {enabled: yes}", "crossmatch.enabled", True),
    "off": ("publish: {auto: off}", "publish.auto", False),
    "tilde for null": ("sky: {catalogue: ~}", "sky.catalogue", None),
    "nothing for null": ("sky:\n  catalogue:\n", "sky.catalogue", None),
    "byte order mark": ("\ufeffgroup: {tiles: 4, stride: 4}", "group.tiles", 4),
    "windows line ends": ("group:\r\n  tiles: 4\r\n  stride: 4\r\n", "group.stride", 4),
    "anchors": ("group:\n  tiles: &n 4\n  stride: *n\n", "group.stride", 4),
    "merge keys": ("group: {<<: {tiles: 4}, stride: 4}", "group.tiles", 4),
    "comments in UTF-8": ("# größer\nimage: {robust: -0.5}  # é\n", "image.robust", -0.5),
    "a document mark": ("---\nimage: {robust: 0}\n", "image.robust", 0.0),
    "quoted text": ("processing_epoch: '2026.10'", "processing_epoch", "2026.10"),
    "quoted zeros": ("calibration: {refant: '010'}", "calibration.refant", "010"),
    "one night without its list": ("nights: 2026-02-11", "nights", ["2026-02-11"]),
    "a night at its midnight": ("nights: [2026-02-11T00:00:00Z]", "nights", ["2026-02-11"]),
    "a span of nights": ("nights: [2026-02-27..2026-03-01, 2026-03-05]", "nights",
                         ["2026-02-27", "2026-02-28", "2026-03-01", "2026-03-05"]),
    "a span without its list": ("nights: 2026-02-11 .. 2026-02-12", "nights", ["2026-02-11", "2026-02-12"]),
    "JSON": ('{"ingest": {"deadline_s": 1e3}, "nights": ["2026-02-11"]}', "ingest.deadline_s", 1000.0),
    "two nights the same": ("nights: [2026-02-11, 2026-02-11]", "nights", ["2026-02-11", "2026-02-11"]),
}  # fmt: skip

# text of an overlay -> the line and the words of the refusal
REFUSED = {
    "leading zero": ("image:\n  size_px: 0600\n", 2, "'image.size_px' is 0600, which YAML reads in base 8"),
    "leading zero in text": ("calibration: {refant: 010}", 1, "'calibration.refant' is 010, .* in base 8"),
    "base 60": ("\ningest: {deadline_s: 1:30}", 2, "'ingest.deadline_s' is 1:30, which YAML reads in base 60"),
    "base 60 with a fraction": ("ingest: {deadline_s: 1:30.5}", 1, "in base 60"),
    "no such day": ("nights: [2026-02-30]", 1, "'nights.0' is 2026-02-30, which is no date"),
    "a key twice": ("image: {robust: 1}\nmosaic: {cell_arcsec: 2}\nimage: {robust: 0}", 3, "'image' stands twice"),
    "a nested key twice": ("image:\n  robust: 1\n  robust: 0\n", 3, "'image.robust' stands twice"),
    "a key that is a number": ("image: {}\n2026: 5\n", 2, "'2026' is no text for YAML"),
    "a key that is a date": ("2026-02-11: x\n", 1, "'2026-02-11' is no text"),
    "a key that is yes": ("publish: {on: true}\n", 1, "'publish.on' is no text"),
    "a key that is a list": ("? [a, b]\n: 1\n", 1, "is no text"),
    "a circle": ("image: &x\n  selfcal: *x\n", 1, "leads in a circle"),
    "a set": ("image: {robust: 1}\nkeep: !!set {ms}\n", 2, "'keep' has the tag .*set: write a plain value"),
    "binary": ("processing_epoch: !!binary aGVsbG8=\n", 1, "has the tag"),
    "a python tuple": ("keep: !!python/tuple [ms]\n", 1, "python/tuple"),
    "templates": ("__use_yte__: true\nimage: {robust: 1}\n", 1, "templates"),
    "tabs": ("image:\n\trobust: 1\n", 2, "not valid YAML"),
    "a colon too many": ("image: robust: 1\n", 1, "not valid YAML"),
    "no end": ("image: [\n", 2, "not valid YAML"),
    "an unknown alias": ("image: {robust: *r}\n", 1, "undefined alias"),
    "two documents": ("image: {}\n---\nmosaic: {}\n", 2, "not valid YAML"),
}  # fmt: skip

# text of an overlay -> the words of the refusal; the value is what it looks like, and not of the key's type
WRONG_TYPE = {
    "infinite": ("ingest: {deadline_s: .inf}", "'ingest.deadline_s' must be a finite number in seconds, but is inf"),
    "no number": ("ingest: {deadline_s: .nan}", "must be a finite number"),
    "infinite by its exponent": ("ingest: {deadline_s: 1e999}", "must be a finite number"),
    "null for a number": ("image: {cell_arcsec: null}", "must be a number in arcseconds, but is null"),
    "null for a section": ("image:\n", "section 'image' must hold keys"),
    "yes for a number": ("image: {size_px: yes}", "'image.size_px' must be an integer in pixels, but is true"),
    "a number for yes": ("publish: {auto: 1}", "'publish.auto' must be a boolean, but is 1"),
    "exponent for an integer": ("image: {max_iterations: 1e3}", "must be an integer, but is '1e3'"),
    "a number for text": ("processing_epoch: 2026.10", "'processing_epoch' must be a text in quotes, but is 2026.1"),
    "an antenna's number": ("calibration: {refant: 103}", "'calibration.refant' must be a text in quotes, but is 103"),
    "a date for text": ("processing_epoch: 2026-01-01", "must be a text in quotes, but is 2026-01-01"),
    "a time for a night": ("nights: [2026-02-11 00:26:49]", "nights: 2026-02-11 00:26:49 is no date: write 2026-02-11"),
    "a night without hyphens": ("nights: [20260211]", "nights: 20260211 is no date: write 2026-02-11, or 2026-02-11.."),
    "a night with slashes": ("nights: [2026/02/11]", "nights: 2026/02/11 is no date: write 2026-02-11"),
    "a span backwards": ("nights: [2026-02-12..2026-02-11]", "must be 1 to 366 nights, the earlier date first"),
    "a span of years": ("nights: [2026-02-12..2036-02-11]", "must be 1 to 366 nights, the earlier date first"),
    "a span without end": ("nights: [2026-02-12..2026-02-30]", "nights: 2026-02-30 is no date of the calendar"),
    "a text of another form": ("umask: '22'", "'umask' must be a text that matches '.0.0-7..3.*', but is '22'"),
    "no such day in quotes": ("nights: ['2026-02-30']", "nights: 2026-02-30 is no date of the calendar"),
    "a night too short": ("nights: ['2026-2-11']", "nights: 2026-2-11 is no date: write 2026-02-11"),
    "number with a unit": ("image: {cell_arcsec: 3 arcsec}", "must be a number in arcseconds, but is '3 arcsec'"),
    "eight without its zero": ("image: {size_px: 08}", "must be an integer in pixels, but is '08'"),
    "decimal comma": ("image: {robust: '0,5'}", "'image.robust' must be a number, but is '0,5'"),
    "a list for a section": ("image: [robust]", "section 'image' must hold keys"),
}  # fmt: skip


def value_of(loaded, key):
    for part in key.split("."):
        loaded = getattr(loaded, part)
    return loaded


def overlay(tmp_path, text):
    file = tmp_path / "night.yaml"
    file.write_text(text, encoding="utf-8", newline="")
    return file


@pytest.mark.parametrize("case", ACCEPTED)
def test_both_programs_read_the_same_value(tmp_path, case):
    text, key, value = ACCEPTED[case]
    file = overlay(tmp_path, text)
    loaded = config.load_files([file], base=tmp_path)
    found = value_of(loaded, key)
    assert found == value and type(found) is type(value)
    assert by_snakemake(file, tmp_path) == loaded


@pytest.mark.parametrize("case", REFUSED)
def test_what_yaml_means_otherwise_is_refused_with_its_line_by_both(tmp_path, case):
    text, line, says = REFUSED[case]
    file = overlay(tmp_path, text)
    with pytest.raises(ConfigError, match=says) as caught:
        config.load_files([file], base=tmp_path)
    said = str(caught.value)
    assert "\n" not in said and f"{file}" in said and f"line {line}" in said
    with pytest.raises((ConfigError, WorkflowError, ValueError)):  # Snakemake's own words where it gives up first
        by_snakemake(file, tmp_path)


@pytest.mark.parametrize("case", WRONG_TYPE)
def test_what_is_of_another_type_is_refused_by_its_key_by_both(tmp_path, case):
    text, says = WRONG_TYPE[case]
    file = overlay(tmp_path, text)
    with pytest.raises(ConfigError, match=says) as caught:
        config.load_files([file], base=tmp_path)
    with pytest.raises(ConfigError) as other:
        by_snakemake(file, tmp_path)
    assert str(other.value) == str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("text", ["", "# nothing but a comment\n", "- image\n", "just a text\n", "[]", "null", "{}"])
def test_a_file_without_keys_is_refused(tmp_path, text):
    file = overlay(tmp_path, text)
    with pytest.raises(ConfigError, match=r"night\.yaml holds no keys"):
        read_file(file)


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16"])
def test_other_encodings_are_refused_with_their_line(tmp_path, encoding):
    file = tmp_path / "night.yaml"
    file.write_bytes("image: {robust: 0}\n# größer\n".encode(encoding))
    line = 2 if encoding == "latin-1" else 1
    with pytest.raises(ConfigError, match=rf"night\.yaml is not UTF-8 at line {line}: save it as UTF-8"):
        read_file(file)
    with pytest.raises(UnicodeDecodeError):
        load_configfile(str(file))


def test_a_json_key_that_stands_twice_is_refused(tmp_path):
    file = overlay(tmp_path, '{"image": {"robust": 1, "robust": 0}}')
    with pytest.raises(ConfigError, match="'robust' stands twice"):
        read_file(file)
    assert json.loads(file.read_text()) == {"image": {"robust": 0}}


def test_later_files_win_key_by_key(tmp_path):
    one, two = tmp_path / "one.yaml", tmp_path / "two.yaml"
    one.write_text("nights: [2026-02-11]\nimage: {robust: 0.0, selfcal: {rounds: 2, min_snr: 5}}\n")
    two.write_text("nights: []\nimage: {selfcal: {rounds: 1}}\n")
    loaded = config.load_files([one, two], base=tmp_path)
    assert (loaded.nights, loaded.image.robust) == ([], 0.0)
    assert (loaded.image.selfcal.rounds, loaded.image.selfcal.min_snr) == (1, 5.0)
