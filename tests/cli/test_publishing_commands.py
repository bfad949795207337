"""The commands as people and programs use them."""

import json
import os
import re
import shlex
import subprocess
import sys

import pytest
import yaml
from click.testing import CliRunner

from contimg.cli import main
from contimg.errors import ContimgError
from contimg.publishing.publish_mosaic import publish_mosaic
from contimg.publishing.register_mosaic import register_mosaic
from contimg.registry.engine import open_sqlite
from contimg.storage.atomic import write_json
from contimg.storage.process import operator
from tests.publishing.test_archive_root import lose_rows
from tests.support import mosaics

ID = mosaics.MOSAIC


@pytest.fixture
def contimg(sqlite_config, tmp_path):
    file = tmp_path / "overlay.yaml"
    paths = sqlite_config.paths.model_dump(mode="json")
    publish = sqlite_config.publish.model_dump(mode="json")
    file.write_text(yaml.safe_dump({"paths": paths, "crossmatch": {"enabled": False}, "publish": publish}))

    def call(*arguments, code=0):
        done = CliRunner().invoke(main, ["-c", str(file), *arguments])
        assert done.exit_code == code, (done.output, done.exception)
        if "--json" in arguments and code != 1:
            return json.loads(done.stdout)
        return done.output.replace(f"contimg -c {file} ", "contimg ")

    return call


def make(config, **mosaic):
    mosaics.make_mosaic(config, **mosaic)
    register_mosaic(ID, config)
    return publish_mosaic(ID, config, waits_s=())


def test_list_and_show(contimg, sqlite_config):
    assert contimg("registry", "list", "--json") == []
    make(sqlite_config)
    rows = contimg("registry", "list", "--json")
    assert [(row["data_id"], row["status"], row["qa_status"]) for row in rows] == [(ID, "published", "passed")]
    assert contimg("registry", "list", "--status", "held", "--json") == []
    contimg("registry", "list", "--status", "finished", code=2)
    assert ID in contimg("registry", "list")
    record = contimg("registry", "show", "20260211T002649", "--json")
    assert record["lineage"] == {"subband_files": 8, "ms_index": 4, "caltables": 1, "images": 2}
    assert record["metadata"]["n_images"] == 2 and record["versions"] == [1]
    assert [event["event"] for event in record["events"]] == ["registered", "finalized", "published"]
    shown = contimg("registry", "show", ID)
    assert "Perley & Butler 2017" in shown
    beam, metadata = record["metadata"]["beam"], record["metadata"]
    assert re.search(rf"\nfrequency +{metadata['freq_hz'] / 1e9:.4f} GHz\n", shown)
    assert re.search(rf'\nbeam +{beam["bmaj_arcsec"]:.1f}" x {beam["bmin_arcsec"]:.1f}", position angle ', shown)
    assert re.search(r"\nrms +[\d.]+ mJy/beam\n", shown) and not re.search(r"\n(freq_hz|rms_mjy|n_images) ", shown)
    assert "is not in the registry" in contimg("registry", "show", "mosaic_20990101T000000", code=1)


def test_verify(contimg, sqlite_config):
    path = make(sqlite_config).path
    done = contimg("registry", "verify", ID, "--json")
    assert [(one["ok"], one["files"]) for one in done] == [(True, 14)]  # 10 of its own, 4 tag files of BagIt
    assert contimg("registry", "verify", "--all", "--json") == done
    (path / "data" / f"{ID}.png").write_bytes(b"altered")
    done = contimg("registry", "verify", "--all", "--json", code=3)
    assert f"{ID}.png does not have the SHA-256" in done[0]["problems"][0]
    assert "NO" in contimg("registry", "verify", ID, code=3)
    for number in range(20):
        (path / f"stray{number:02d}").touch()
    shown = " ".join(contimg("registry", "verify", ID, code=3).split())
    assert "stray09 is" in shown and "stray10" not in shown and "and 11 more (--json lists them)" in shown
    assert len(contimg("verify", ID, "--json", code=3)[0]["problems"]) == 21
    contimg("registry", "verify", code=2)


def test_approve_publishes_at_once(contimg, sqlite_config):
    make(sqlite_config, reasons=[mosaics.FAILED])
    contimg("publish", "approve", ID, code=2)
    assert "not published" in contimg("registry", "verify", ID, code=1)
    assert "published as version 1, approved by" in contimg("publish", "approve", ID, "--reason", "checked by eye")
    assert contimg("registry", "show", ID, "--json")["approved_reason"] == "checked by eye"
    assert "only what is held needs an approval" in contimg("publish", "approve", ID, "--reason", "again", code=1)


def test_reject_and_withdraw(contimg, sqlite_config):
    make(sqlite_config, reasons=[mosaics.WARNING])
    assert "rejected by" in contimg("publish", "reject", ID, "--reason", "striping")
    make(sqlite_config, seed=2)
    withdraw = ("publish", "withdraw", ID, "--reason", "wrong flux scale", "--json")
    assert "has versions 1 (rejected), 2 (published): say which" in contimg(*withdraw, code=1)
    done = contimg(*withdraw, "--version", "2")
    assert done[0]["status"] == "withdrawn" and "/.withdrawn/" in done[0]["path"]
    assert [row["status"] for row in contimg("registry", "list", "--all-versions", "--json")] == [
        "rejected",
        "withdrawn",
    ]


def test_retry(contimg, sqlite_config):
    sqlite_config.paths.products.mkdir()
    (sqlite_config.paths.products / "mosaics").write_text("in the way")
    with pytest.raises(ContimgError):
        make(sqlite_config)
    assert "which is a symlink or no folder" in contimg("publish", "retry", ID, code=1)
    assert "which is a symlink or no folder" in contimg("publish", "retry", "--all", code=1)
    (sqlite_config.paths.products / "mosaics").unlink()
    assert [one["status"] for one in contimg("publish", "retry", "--all", "--json")] == ["published"]
    assert "No mosaic waits" in contimg("publish", "retry", "--all")
    contimg("publish", "retry", code=2)


def test_after_the_last_attempt_status_and_report_name_the_command(contimg, sqlite_config):
    """And retry, approve, reject and withdraw stand in the history with who, when and why."""
    products = sqlite_config.paths.products
    products.mkdir()
    (products / "mosaics").write_text("in the way")
    write_json(
        sqlite_config.layout.group(mosaics.GROUP),
        {"id": mosaics.GROUP, "tiles": [{"id": tile, "name_time": tile, "files": []} for tile in mosaics.TILES]},
    )
    command = f"contimg publish retry {ID}"
    mosaics.make_mosaic(sqlite_config)
    register_mosaic(ID, sqlite_config)
    for attempt in range(1, sqlite_config.publish.max_attempts + 1):
        (state,) = contimg("status", "--json")["groups"]
        assert (state["state"], state["error"]) == ("registered", None)
        assert state["next"].startswith("waits: files of 2 tiles")  # what lies in this inbox is no HDF5
        assert "not published" not in contimg("report", ID)
        with pytest.raises(ContimgError):
            publish_mosaic(ID, sqlite_config, waits_s=())
        assert contimg("registry", "show", ID, "--json")["attempts"] == attempt
    (state,) = contimg("status", "--json")["groups"]
    assert state["next"] == command and "leads through 'mosaics'" in state["error"]
    said = contimg("status")
    assert f"{ID} waits for a person" in said and command in said
    assert command in contimg("report", ID) and contimg("report", ID, "--json")[0]["next"] == command
    (products / "mosaics").unlink()
    contimg("publish", "retry", "--all", "--reason", "cleared the way")
    assert contimg("status", "--json")["groups"][0]["next"] == ""
    contimg("publish", "withdraw", ID, "--reason", "wrong flux scale")
    make(sqlite_config, seed=2, reasons=[mosaics.WARNING])
    command = contimg("status", "--json")["groups"][0]["next"]
    assert command.startswith(f"contimg publish approve {ID} --version 2 --manifest ")
    assert "has versions 1 (withdrawn), 2 (held): say which" in contimg(
        "publish", "approve", ID, "--reason", "x", code=1
    )
    contimg(*shlex.split(command)[1:-1], "looked at it")
    make(sqlite_config, seed=3, reasons=[mosaics.WARNING])
    contimg("publish", "reject", ID, "--version", "3", "--reason", "striping")
    decided = {
        (event["version"], event["event"]): event
        for event in contimg("registry", "show", ID, "--json")["events"]
        if event["event"] in ("retry", "withdrawn", "approved", "rejected")
    }
    assert {key: event["message"] for key, event in decided.items()} == {
        (1, "retry"): "cleared the way",
        (1, "withdrawn"): "wrong flux scale",
        (2, "approved"): "looked at it",
        (3, "rejected"): "striping",
    }
    times = [event["time"] for event in decided.values()]
    assert times == sorted(times) and all(re.fullmatch(r"\d{4}-\d\d-\d\dT[\d:]{8}\.\d{3}Z", time) for time in times)
    assert {event["actor"] for event in decided.values()} == {operator()}


def test_reconcile(contimg, sqlite_config):
    assert "agree" in contimg("reconcile")
    make(sqlite_config)
    remains = sqlite_config.paths.products / ".incoming" / f"{ID}.token"
    remains.mkdir()
    assert [one["code"] for one in contimg("reconcile", "--dry-run", "--json", code=3)] == ["incoming_left"]
    assert remains.exists()
    assert [one["repaired"] for one in contimg("reconcile", ID, "--json")] == [True]
    assert contimg("reconcile", "--json") == []


def test_a_decision_is_about_what_was_looked_at(contimg, sqlite_config):
    """A command typed after reading version 1's page approves no version 2, nor another making of version 1."""
    make(sqlite_config, reasons=[mosaics.WARNING])
    first = contimg("registry", "show", ID, "--json")["sha256"]
    wrong = contimg("publish", "approve", ID, "--manifest", "0" * 12, "--reason", "fine", code=1)
    assert f"has the manifest {first[:12]}, not 000000000000" in wrong
    make(sqlite_config, seed=2, reasons=[mosaics.FAILED])
    said = contimg("publish", "approve", ID, "--reason", "fine", code=1)
    assert "versions 1 (superseded), 2 (held)" in said
    said = contimg("publish", "approve", ID, "--manifest", first[:12], "--version", "2", "--reason", "fine", code=1)
    assert "another making" in said
    said = contimg("publish", "approve", ID, "--version", "1", "--reason", "fine", code=1)
    assert "is superseded" in said
    assert [row["status"] for row in contimg("registry", "list", "--json")] == ["held"]


def test_restore_and_what_is_current(contimg, sqlite_config):
    first = make(sqlite_config).path
    second = make(sqlite_config, seed=2).path
    done = contimg("publish", "withdraw", ID, "--version", "2", "--reason", "wrong", "--json")
    assert done[0]["current"] == 1 and "version 1 is the current one now" in done[0]["message"]
    assert first.exists() and not second.exists()
    done = contimg("publish", "restore", ID, "--version", "2", "--reason", "was right", "--json")
    assert (done[0]["status"], done[0]["current"], done[0]["path"]) == ("published", 2, str(second))
    contimg("publish", "withdraw", ID, "--version", "1", "--reason", "old")
    done = contimg("publish", "restore", ID, "--version", "1", "--reason", "wanted", "--json")
    assert "version 2 stays the current one" in done[0]["message"]
    assert contimg("reconcile", "--json") == []
    assert "only what is withdrawn" in contimg("publish", "restore", ID, "--version", "1", "--reason", "x", code=1)


def test_a_published_mosaic_is_cited_and_the_gallery_has_its_doi(contimg, sqlite_config, tmp_path):
    make(sqlite_config)
    (done,) = contimg("publish", "cite", ID, "--doi", "10.5555/dsa110.1", "--json")
    assert (done["status"], done["doi"]) == ("published", "10.5555/dsa110.1")
    assert done["message"] == "version 1 is cited as https://doi.org/10.5555/dsa110.1"
    assert contimg("registry", "show", ID, "--json")["doi"] == "10.5555/dsa110.1"
    later = yaml.safe_load((tmp_path / "overlay.yaml").read_text()) | {"publish": {"update_archive": True}}
    (tmp_path / "overlay.yaml").write_text(yaml.safe_dump(later))
    contimg("publish", "cite", ID, "--doi", "10.5555/dsa110.1", "--json")
    (month,) = (sqlite_config.paths.products / "gallery").glob("????-??/mosaics.js")
    assert '"DOI", "10.5555/dsa110.1"' in month.read_text()
    said = contimg("publish", "cite", ID, "--doi", "10.5555/other", code=1)
    assert "is cited as 10.5555/dsa110.1 already" in said and "--replace" in said
    assert contimg("reconcile", "--json") == [] and contimg("verify", ID, "--json")[0]["ok"]


def test_a_backup_is_replaced_by_one_that_holds_as_much_and_others_on_request(contimg, sqlite_config, tmp_path):
    make(sqlite_config)
    file = tmp_path / "b.sqlite3"
    assert f"{file} holds 1 versions of mosaics" in contimg("registry", "backup", str(file))
    assert contimg("registry", "backup", str(file), "--json")["data_registry"] == 1
    sqlite_config.layout.registry_file.unlink()
    said = contimg("registry", "backup", str(file), code=1)
    assert "is a backup of another registry" in said and "add --replace" in said
    contimg("registry", "restore", str(file))
    assert contimg("registry", "backup", str(file), "--replace", "--json")["data_registry"] == 1
    assert "make it, or mount its disk" in contimg("registry", "backup", str(tmp_path / "no" / "b"), code=1)
    said = contimg("registry", "backup", str(sqlite_config.layout.products / ".contimg-archive.json"), code=1)
    assert "is no backup of a registry" in said


@pytest.mark.parametrize("what", ["fifo", "torn"])
def test_a_marker_or_group_that_cannot_be_read_is_named_and_waited_for_by_nobody(contimg, sqlite_config, what):
    """One sentence with the file, and the other groups are shown; a marker is then written anew."""
    make(sqlite_config)
    layout = sqlite_config.layout
    tile = {"id": mosaics.GROUP, "name_time": mosaics.GROUP, "files": []}
    write_json(layout.group("20260211T002649"), {"id": mosaics.GROUP, "tiles": [tile]})
    for path in (layout.twin("published", ID), layout.group("20260211T002649")):
        before = path.read_bytes()
        path.unlink()
        if what == "fifo":
            os.mkfifo(path)
        else:
            path.write_text('{"status":')
        (group,) = contimg("status", "--json")["groups"]
        said = "no plain file" if what == "fifo" else "Expecting value: line 1 column 11 (char 10)"
        assert (group["state"], group["error"]) == ("damaged", f"{path} is damaged ({said})")
        assert group["next"].startswith(("type contimg reconcile", "restore it, or delete it and"))
        contimg("reconcile")
        if path.name.startswith("mosaic_"):
            assert path.read_bytes() == before


@pytest.mark.parametrize("below", ["", "data", f"data/{ID}.png"])
def test_a_folder_that_may_not_be_entered_is_a_problem_of_its_bundle_alone(contimg, sqlite_config, tmp_path, below):
    """In a process that the permissions hold for: one of root's without its capabilities."""
    path = make(sqlite_config).path / below
    other = mosaics.make_mosaic(sqlite_config, tiles=("2026-02-13T00:26:49",))
    register_mosaic(other, sqlite_config)
    publish_mosaic(other, sqlite_config, waits_s=())
    without = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.getuid() == 0 else []
    words = ["-c", str(tmp_path / "overlay.yaml"), "verify", "--all", "--json"]
    command = [sys.executable, "-c", "from contimg.cli import run; run()", *words]
    if os.getuid() == 0:
        os.chown(path, 65534, 65534)
    path.chmod(0)
    done = subprocess.run([*without, *command], capture_output=True, text=True)
    path.chmod(0o755)
    assert done.returncode == 3, done.stderr
    found = {one["data_id"]: one for one in json.loads(done.stdout)}
    assert found[other]["ok"] and not found[ID]["ok"]
    (problem,) = found[ID]["problems"]
    assert str(path) in problem and "Permission denied" in problem


@pytest.mark.parametrize("what", ["gone", "rows", "another", "no marker"])
def test_a_registry_that_was_lost_is_said_by_every_command_that_reads_it(contimg, program, sqlite_config, what):
    """They would list nothing, verify nothing, and end well."""
    make(sqlite_config)
    layout = sqlite_config.layout
    marker = layout.products / ".contimg-archive.json"
    if what == "rows":
        registry = open_sqlite(layout.registry_file)
        lose_rows(registry)
        registry.close()
    else:
        layout.registry_file.unlink()
    if what == "another":
        marker.write_text(marker.read_text().replace(str(layout.registry_file), "/elsewhere/registry.sqlite3"))
        said = "is the archive of the registry at"
    elif what == "no marker":
        marker.unlink()
        said = "holds bundles: type 'contimg registry restore FILE'"
    else:
        said = f"is the archive of registry {json.loads(marker.read_text())['registry']}: type 'contimg reg"
    for words in (("verify", "--all"), ("verify", ID)):
        done = program(*words)
        assert done.code == 1 and said in done.sentence, done
    for words, code in ((("status",), 0), (("status", "--check"), 3), (("registry", "list"), 0)):
        done = program(*words)
        assert (done.code, done.err.count("\n")) == (code, 1) and said in done.err, done
    alarm = "wrong_archive" if what == "another" else "no_registry"
    assert said in contimg("status", "--json")["alarms"][alarm]
    if what != "another":
        assert program("reconcile").code == 0
        assert program("registry", "list").err == "" and program("verify", "--all").code == 0


@pytest.mark.parametrize("words", [
    ("status", "--html"), ("status", "--prometheus"), ("trends", "--html"), ("report", "--run", "--html"),
    ("provenance", ID, "--export"),
])  # fmt: skip
def test_a_folder_named_for_a_page_stays_as_it_is(contimg, sqlite_config, tmp_path, words):
    """The page took its place, and all in it was removed."""
    make(sqlite_config)
    folder = tmp_path / "public"
    folder.mkdir()
    (folder / "precious").touch()
    assert "is a directory" in contimg(*words, str(folder), code=2)
    assert [path.name for path in folder.iterdir()] == ["precious"]


def test_a_new_registry_without_an_archive_is_not_lost(program, sqlite_config):
    sqlite_config.paths.state.mkdir(parents=True, exist_ok=True)
    for words in (("status",), ("registry", "list"), ("verify", "--all")):
        done = program(*words)
        assert (done.code, done.err) == (0, ""), done


def test_a_deleted_working_folder_is_said_in_one_sentence(tmp_path):
    code = "import os, sys; os.chdir(sys.argv[1]); os.rmdir(sys.argv[1]); sys.argv[1:] = ['status'];"
    code += "from contimg.cli import run; run()"
    (tmp_path / "gone").mkdir()
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "gone")], capture_output=True, text=True)
    said = "contimg: the folder that you are in was deleted: cd to another, and type it again\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", said)


@pytest.mark.parametrize("digits", ["", " ", "g", "0" * 65, "%"])
def test_no_digits_of_a_manifest_are_not_taken_for_no_check(contimg, sqlite_config, digits):
    make(sqlite_config)
    before = contimg("registry", "list", "--json")
    for command in ("approve", "reject", "withdraw", "restore"):
        said = contimg("publish", command, ID, "--reason", "x", "--manifest", digits, code=1)
        assert f"--manifest '{digits[:64]}' is no beginning of a SHA-256" in said
    assert contimg("registry", "list", "--json") == before


def test_what_an_operator_gives_has_a_length(contimg, sqlite_config, monkeypatch):
    make(sqlite_config)
    said = contimg("publish", "withdraw", ID, "--reason", "x" * 1001, code=1)
    assert "the reason has 1001 characters: write it in 1000 at most" in said
    assert "write it in 1000 at most" in contimg("publish", "retry", ID, "--reason", "x" * 1001, code=1)
    assert "no reason given" in contimg("publish", "retry", "--all", "--reason", " ", code=1)
    said = contimg("publish", "cite", ID, "--doi", "10.5555/" + "x" * 993, code=1)
    assert "has 1001 characters" in said
    monkeypatch.setenv("LOGNAME", "x" * 201)
    said = contimg("publish", "withdraw", ID, "--reason", "x", code=1)
    assert "set LOGNAME to one of 200 at most" in said
    monkeypatch.setenv("LOGNAME", "ada")
    contimg("publish", "withdraw", ID, "--reason", "x" * 1000)


def test_retry_publishes_each_version_that_waits(contimg, sqlite_config):
    first = make(sqlite_config).path
    make(sqlite_config, seed=2, rms_mjy=3.9)
    for words in ((ID,), ("--all",)):
        (first / "data" / f"{ID}.png").write_bytes(b"rot")
        contimg("reconcile")
        assert not first.exists()
        assert f"{ID}: published as version 1" in contimg("publish", "retry", *words)
        assert first.is_dir() and "Archive and registry agree" in contimg("reconcile")
