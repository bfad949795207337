"""Answers with exit code 3 as a person reads them: diff, reconcile and verify."""

import shutil

from contimg.bundle import bundle
from tests.support import mosaics

ID = mosaics.MOSAIC


def test_diff_lists_what_differs_and_exits_with_3(program, sqlite_config, publish):
    publish()
    sqlite_config.layout.twin("crossmatch", ID).unlink()
    publish(tiles=mosaics.TILES[:1], crossmatch=False)
    done = program("diff", f"{ID}.v1", f"{ID}.v2")
    assert done.code == 3
    assert done.out.split()[0] == "Differences"
    (row,) = (line.split() for line in done.out.splitlines() if f"{mosaics.TILES[1]}_sb00.hdf5" in line)
    assert row[:3] == ["input", "subband_file", f"{mosaics.TILES[1]}_sb00.hdf5"] and row[-1] == "-"


def test_reconcile_lists_a_bundle_that_is_gone(program, publish):
    path = publish().path
    assert program("reconcile").out == "Archive and registry agree.\n"
    shutil.rmtree(path)
    done = program("reconcile", "--dry-run")
    assert done.code == 3
    assert done.out.split()[0] == "Differences" and str(path) in done.out


def test_verify_says_no_where_a_byte_changed_and_where_the_manifest_is_gone(program, publish):
    path = publish().path
    assert program("verify", ID).code == 0
    image = path / "data" / f"{ID}.fits"
    image.chmod(0o644)
    with image.open("r+b") as stream:
        stream.seek(3000)
        byte = stream.read(1)
        stream.seek(3000)
        stream.write(bytes([byte[0] ^ 1]))
    for words in ((ID,), ("--all",), (path,)):
        done = program("verify", *words, "--json")
        assert (done.code, done.json[0]["ok"]) == (3, False)
        assert any(f"{ID}.fits" in problem for problem in done.json[0]["problems"])
    (path / bundle.MANIFEST).unlink()
    done = program("verify", ID, "--json")
    assert (done.code, done.json[0]["ok"]) == (3, False)
    assert len(done.json[0]["problems"]) >= 1
    assert program("verify").code == 2
