"""Folders as people name them: they work, or one sentence says why not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from contimg import config
from contimg.errors import ConfigError


def load(tmp_path, **paths):
    roots = {name: tmp_path / "ours" / name for name in ("incoming", "stage", "products", "state")}
    return config.load({"paths": roots | paths}, base=tmp_path)


@pytest.mark.parametrize(
    "name",
    ["a b", "é", "星", "a[1]", "(a)", "a*b?", "a'b\"c", "a#b%c", "a&b;c,d", "a=b+c@d!", "-a", "a:b", " a ", "a^b|c"],
)
def test_names_that_work(tmp_path, name):
    assert load(tmp_path, stage=name).paths.stage == tmp_path / name


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("a::b", "with '::', which CASA reads as the name of a subtable"),
        ("a{b}c", "with '{', which Snakemake reads as a wildcard"),
        ("a}b", "with '}', which Snakemake"),
        ("a<b", "with '<', which Snakemake"),
        ("$HOME/a", r"with '\$', which CASA reads as an environment variable"),
        ("s3://bucket/a", "which is a URL and no folder"),
        ("a\\b", "which CASA and Snakemake read as an escape"),
        ("a\nb", "with a line end or control character"),
        ("a\tb", "with a line end or control character"),
        ("a\x00b", "which is no path"),
        ("", "is empty"),
        ("  ", "is empty"),
        ("~nobody-of-that-name/a", "cannot be followed"),
    ],
)
@pytest.mark.parametrize("key", ["incoming", "stage", "products", "state"])
def test_names_that_do_not_are_refused_with_the_key(tmp_path, key, name, says):
    with pytest.raises(ConfigError, match=says) as caught:
        load(tmp_path, **{key: name})
    assert f"config key 'paths.{key}'" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(("section", "key"), [("sky", "catalogue"), ("beam", "cube"), ("calibration", "calibrators")])
def test_other_files_of_the_config_are_looked_at_too(tmp_path, section, key):
    with pytest.raises(ConfigError, match=rf"'{section}\.{key}' names 'a{{b}}\.csv' with"):
        config.load({section: {key: "a{b}.csv"}}, base=tmp_path)
    loaded = config.load({section: {key: "a b/é.csv"}}, base=tmp_path)
    assert getattr(getattr(loaded, section), key) == str(tmp_path / "a b" / "é.csv")


def test_a_folder_with_such_a_name_above_a_relative_path_is_refused_too(tmp_path):
    base = tmp_path / "a{b}"
    with pytest.raises(ConfigError, match=r"names 'stage' with '{'"):
        config.load({"paths": {"incoming": "/tmp/elsewhere"}, "nights": []}, base=base)


def test_the_home_of_a_user_is_meant_by_a_tilde(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert load(tmp_path, stage="~/stage").paths.stage == tmp_path / "home" / "stage"


def test_links_and_relative_paths_are_followed_once(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "link").symlink_to("disk")
    assert load(tmp_path, stage="link/../link/stage").paths.stage == tmp_path / "disk" / "stage"
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(ConfigError, match=r"'paths\.stage' names '.*circle.*', which cannot be followed"):
        load(tmp_path, stage="circle/stage")


@pytest.mark.parametrize(
    ("stage", "products"), [("a", "a"), ("a", "a/b"), ("a/b", "a"), ("a", "./c/../a"), ("a", "link"), ("a", "link/b")]
)
def test_roots_that_are_or_hold_each_other_are_refused(tmp_path, stage, products):
    (tmp_path / "a").mkdir()
    (tmp_path / "link").symlink_to("a")
    with pytest.raises(ConfigError, match=r"paths\.stage .* and paths\.products .* overlap: give each its own folder"):
        load(tmp_path, stage=stage, products=products)


def test_roots_whose_names_begin_alike_do_not_overlap(tmp_path):
    loaded = load(tmp_path, stage="night", products="night-2")
    assert os.path.commonpath([loaded.paths.stage, loaded.paths.products]) == str(tmp_path)
    assert loaded.paths.products == Path(tmp_path / "night-2")


@pytest.mark.parametrize("replica", ["night", "night/copies", ".", "link", "file://{}/night", "work", "link/x"])
def test_a_replica_within_a_root_or_round_it_is_refused(tmp_path, replica):
    """The archive as its own replica lost the versions that a replica does not keep."""
    (tmp_path / "night").mkdir()
    (tmp_path / "link").symlink_to("night")
    url = replica.format(tmp_path) if replica != "." else str(tmp_path)
    content = {"paths": {"products": "night", "stage": "work"}, "publish": {"replicas": [{"url": url}]}}
    with pytest.raises(ConfigError, match=r"publish\.replicas .* overlap: give each its own folder"):
        config.load(content, base=tmp_path)


@pytest.mark.parametrize("second", ["one/below", "one", "file://{}/one"])
def test_replicas_within_each_other_are_refused(tmp_path, second):
    urls = [
        {"url": str(tmp_path / "one")},
        {"url": second.format(tmp_path) if "{" in second else str(tmp_path / second)},
    ]
    with pytest.raises(ConfigError, match=r"publish\.replicas .*(overlap|twice)"):
        config.load({"publish": {"replicas": urls}}, base=tmp_path)


def test_replicas_beside_the_roots_are_taken(tmp_path):
    urls = [{"url": str(tmp_path / "one")}, {"url": "s3://bucket/one"}, {"url": str(tmp_path / "one-more")}]
    assert len(config.load({"publish": {"replicas": urls}}, base=tmp_path).publish.replicas) == 3


@pytest.mark.parametrize("second", ["s3://bucket/one/", "s3://bucket/one/below", "s3://bucket", "s3a://bucket//one"])
def test_prefixes_of_a_store_that_hold_each_other_are_refused(tmp_path, second):
    """One entry would remove what the other keeps; the text of an address is no name of a place."""
    urls = [{"url": "s3://bucket/one"}, {"url": second}]
    with pytest.raises(ConfigError, match=r"publish\.replicas .*(overlap: give each its own|twice)"):
        config.load({"publish": {"replicas": urls}}, base=tmp_path)
    beside = [{"url": "s3://bucket/one"}, {"url": "s3://bucket/one-more"}, {"url": "s3://other/one"}]
    assert len(config.load({"publish": {"replicas": beside}}, base=tmp_path).publish.replicas) == 3


@pytest.mark.parametrize("url", ["s3://", "s3:///one"])
def test_a_store_without_a_bucket_is_refused(tmp_path, url):
    with pytest.raises(ConfigError, match=r"publish\.replicas' names 's3:.*' without a bucket: write s3://bucket/pre"):
        config.load({"publish": {"replicas": [{"url": url}]}}, base=tmp_path)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("second", "{}/second"), ("~/second", "{}/home/second"), ("{}/second/", "{}/second"),
        ("file://{}/second", "{}/second"), ("s3://bucket/one/", "s3://bucket/one"), ("{}/link/x", "{}/link/x"),
    ],
)  # fmt: skip
def test_a_replica_is_one_place_whatever_folder_a_command_is_typed_in(tmp_path, monkeypatch, url, expected):
    (tmp_path / "link").symlink_to("home")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    content = {"publish": {"replicas": [{"url": url.format(tmp_path)}]}}
    (found,) = config.load(content, base=tmp_path).publish.replicas
    assert found.url == expected.format(tmp_path)


@pytest.mark.parametrize(
    "url", ["sqlite:///state/x.sqlite3", "sqlite:///{}/link/x.sqlite3", "sqlite:///{}/a/../state/x.sqlite3"]
)
def test_a_registry_in_a_file_is_one_place_however_it_is_written(tmp_path, url):
    """A second spelling was refused as a copy of the registry, and a relative one was another in each folder."""
    (tmp_path / "state").mkdir()
    (tmp_path / "link").symlink_to("state")
    found = config.load({"registry": {"url": url.format(tmp_path)}}, base=tmp_path).registry.url
    assert found == f"sqlite:///{tmp_path}/state/x.sqlite3"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"publish": {"replicas": [{"url": "second"}]}}, True),
        ({"publish": {"replicas": [{"url": "/second"}, {"url": "s3://bucket/x"}]}}, False),
        ({"registry": {"url": "sqlite:///state/x.sqlite3"}}, True),
        ({"registry": {"url": "sqlite:////state/x.sqlite3"}}, False),
        ({"registry": {"url": None}}, False),
        ({"registry": {"url": "postgresql+psycopg://user@host/x"}}, False),
    ],
)
def test_commands_in_messages_name_the_folder_that_places_depend_on(content, expected):
    assert config.has_relative_paths(content) is expected


def test_a_path_that_the_locale_cannot_write_is_refused_with_the_remedy(tmp_path):
    code = "from contimg.config import load; load({'paths': {'stage': '/tmp/\\xfc'}})"
    locale = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | locale, capture_output=True, text=True, check=False
    )
    expected = "names '/tmp/\\xfc', which the locale of this shell cannot write (ascii): export LC_ALL=C.UTF-8"
    assert expected in done.stderr


_MOUNTED = """
import subprocess, sys
from pathlib import Path
from contimg import config
from contimg.errors import ConfigError
base, first, second = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
subprocess.run(["mount", "--bind", base / "one", base / "mounted"], check=True)
paths = {"products": first} if first != "replica" else {}
urls = [{"url": second}] if paths else [{"url": str(base / "one")}, {"url": second}]
try:
    config.load({"paths": paths, "publish": {"replicas": urls}}, base=base)
except ConfigError as error:
    print(error)
"""


@pytest.mark.parametrize("first", ["one", "one/products", "replica"])
@pytest.mark.parametrize("second", ["mounted", "mounted/below"])
def test_a_second_name_by_a_mount_is_seen(tmp_path, first, second):
    """The archive itself, mounted elsewhere, would have lost what its replica does not keep."""
    for name in ("one/products", "one/below", "mounted"):
        (tmp_path / name).mkdir(parents=True)
    command = [sys.executable, "-c", _MOUNTED, str(tmp_path), first, str(tmp_path / second)]
    done = subprocess.run(["unshare", "-rm", *command], capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    apart = (first, second) == ("one/products", "mounted/below")
    assert ("overlap: give each its own folder" in done.stdout) is not apart, done.stdout


@pytest.mark.parametrize("url", ["s3://key:secret@bucket/one", "sftp://me:secret@host/one", "ftp://:secret@host"])
def test_a_password_in_the_address_of_a_replica_is_refused_and_not_shown(tmp_path, url):
    """Messages show the address, and the registry holds it."""
    with pytest.raises(
        ConfigError, match=r"publish\.replicas' holds a password .*: leave it out, and give it to"
    ) as seen:
        config.load({"publish": {"replicas": [{"url": url}]}}, base=tmp_path)
    assert "secret" not in str(seen.value)


@pytest.mark.parametrize("url", ["file://localhost/one", "file://one"])
def test_a_file_on_a_host_is_refused(tmp_path, url):
    with pytest.raises(ConfigError, match=r"publish\.replicas' names 'file://.*': write file:///FOLDER"):
        config.load({"publish": {"replicas": [{"url": url}]}}, base=tmp_path)
