"""`contimg replicas` and `verify --replicas`: what an operator types."""

import yaml

from contimg.bundle import bundle
from tests.support import mosaics

ID = mosaics.MOSAIC


def with_replicas(tmp_path, *folders):
    overlay = tmp_path / "overlay.yaml"
    content = yaml.safe_load(overlay.read_text())
    content["publish"]["replicas"] = [{"url": str(folder)} for folder in folders]
    overlay.write_text(yaml.safe_dump(content))


def test_a_replica_is_adopted_filled_verified_and_mended(program, publish, tmp_path):
    publish()
    assert "config key 'publish.replicas' is empty" in program("replicas", "sync").sentence
    second, lost = tmp_path / "second", tmp_path / "lost"
    second.mkdir()
    with_replicas(tmp_path, second)
    refused = program("replicas", "sync")
    assert refused.code == 3 and "contimg replicas adopt" in refused.err
    assert program("replicas", "adopt").out == f"{second} is a replica of this archive\n"
    assert f"replica {second} lacks 1 copies" in program("status").out.replace("\n", " ")
    assert program("replicas", "sync", "--json").json["copies"][0]["what"] == "copied"
    assert program("replicas", "sync").out == "The replicas are up to date.\n"
    assert "lacks" not in program("status").out
    assert program("verify", "--replicas", "--all").code == 0
    (file,) = second.rglob(f"data/{ID}.png")
    file.write_bytes(b"rot")
    seen = program("verify", "--replicas", ID, "--json")
    assert seen.code == 3 and str(file) in seen.json[0]["message"]
    assert "1 damaged ones: contimg replicas sync" in program("status").out.replace("\n", " ")
    assert program("replicas", "sync").code == 0 and bundle.verify(file.parents[1]).ok
    with_replicas(tmp_path, lost, second)
    both = program("replicas", "sync")
    assert both.code == 3 and str(lost) in both.err
    seen = program("verify", "--replicas", "--all", "--json")
    assert seen.code == 3 and [one["what"] for one in seen.json] == ["problem", "whole"]


def test_an_odd_copy_and_a_store_of_an_unknown_kind_keep_nothing_from_being_read(program, publish, tmp_path):
    publish()
    publish(tiles=("2026-02-13T00:26:49",))
    second = tmp_path / "second"
    second.mkdir()
    with_replicas(tmp_path, second)
    program("replicas", "adopt")
    program("replicas", "sync")
    (second / f"commits/2026-02-11/{ID}.json").write_text("{")
    with_replicas(tmp_path, "nosuch://store", second)
    seen = program("verify", "--replicas", "--all", "--json")
    assert seen.code == 3
    assert [(one["data_id"], one["what"]) for one in seen.json] == [
        ("", "problem"), (ID, "problem"), ("mosaic_20260213T002649", "whole")
    ]  # fmt: skip
    assert "contimg[s3]" in seen.json[0]["message"] and "remove it" in seen.json[1]["message"]
    synced = program("replicas", "sync", "--json")
    assert synced.code == 3 and [one["what"] for one in synced.json["copies"]] == ["problem"]
