"""Publishing: once, verified, never over something else, held by verdict, decided by people."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from sqlalchemy import update

from contimg.bundle import bundle
from contimg.bundle.bundle import PUBLICATION
from contimg.errors import ContimgError, InputError, RegistryError, UnknownIdError
from contimg.publishing import decisions, publish
from contimg.publishing.deciding import Named
from contimg.publishing.publish_mosaic import publish_mosaic, remove_staged
from contimg.publishing.reconcile import reconcile
from contimg.publishing.register import register
from contimg.publishing.register_mosaic import register_mosaic
from contimg.registry import queries
from contimg.registry.schema import data_registry, publish_events
from tests.support import mosaics
from tests.support.mosaics import run

ID = mosaics.MOSAIC


def marker(config, kind="published"):
    return json.loads(config.layout.twin(kind, ID).read_text())


def snapshot(*folders: Path) -> dict[str, tuple[int, bytes | None]]:
    return {
        str(path): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else None)
        for folder in folders
        for path in sorted(folder.rglob("*"))
    }


def test_a_passed_mosaic_is_published_where_the_design_says(registry, config):
    done = run(config)
    final = config.paths.products / "mosaics" / "2026-02-11" / ID
    assert (done.status, done.created, done.path) == ("published", True, final)
    row = queries.get(registry, ID)
    assert (row["status"], row["published_path"], row["error"], row["claim_token"]) == (
        "published",
        str(final),
        None,
        None,
    )
    checked = subprocess.run(
        ["sha256sum", "-c", "--strict", bundle.MANIFEST], cwd=final, capture_output=True, text=True
    )
    assert checked.returncode == 0 and checked.stdout.count(": OK") == 14
    for name in (f"{ID}.fits", f"{ID}.weights.fits", f"{ID}.rms.fits", f"{ID}.png", f"{ID}.tiles.csv"):
        assert (final / "data" / name).read_bytes() == (config.layout.product("mosaic", ID) / name).read_bytes()
    assert (final / "data" / "crossmatch" / f"{ID}.matches.csv").is_file() and (final / "data" / f"{ID}.html").is_file()
    assert json.loads((final / "data" / bundle.METADATA).read_text())["synthetic"] is True
    assert list((config.paths.products / ".incoming").iterdir()) == []
    assert [event["event"] for event in queries.events(registry, ID)] == ["registered", "finalized", "published"]


def test_markers_have_content(registry, config):
    run(config)
    row = queries.get(registry, ID)
    assert marker(config) == {
        "data_id": ID, "version": 1, "status": "published", "manifest_sha256": row["sha256"],
        "path": row["published_path"], "time": row["published_at"], "message": "published as version 1",
    }  # fmt: skip
    assert marker(config, "registered")["path"] == row["stage_path"]
    assert marker(config, "registered")["status"] == "registered"


def test_a_second_run_changes_nothing(registry, config):
    run(config)
    before = snapshot(config.paths.stage, config.paths.products)
    rows, events = queries.versions(registry, ID), queries.events(registry, ID)
    register_mosaic(ID, config)
    again = publish_mosaic(ID, config, waits_s=())
    assert (again.status, again.created) == ("published", False)
    assert snapshot(config.paths.stage, config.paths.products) == before
    assert queries.versions(registry, ID) == rows and queries.events(registry, ID) == events


def test_a_deleted_marker_comes_back_the_same(config):
    run(config)
    places = [config.layout.twin(kind, ID) for kind in ("registered", "published")]
    before = [place.read_bytes() for place in places]
    for place in places:
        place.unlink()
    register_mosaic(ID, config)
    publish_mosaic(ID, config, waits_s=())
    assert [place.read_bytes() for place in places] == before


def test_changed_content_is_published_beside_the_old(registry, config):
    first = run(config)
    second = run(config, seed=2)
    assert second.path == first.path.with_name(f"{ID}.v2") and second.version == 2
    assert [row["status"] for row in queries.versions(registry, ID)] == ["published", "published"]
    for row in queries.versions(registry, ID):
        assert bundle.verify(Path(row["published_path"]), expected=row["sha256"]).ok
    assert marker(config)["version"] == 2


@pytest.mark.parametrize("severity", ["warning", "failed"])
def test_what_did_not_pass_is_held_and_approved_by_a_person(registry, config, severity):
    done = run(config, reasons=[getattr(mosaics, severity.upper())])
    assert done.status == "held" and not (config.paths.products / "mosaics").exists()
    said = marker(config)
    assert said["status"] == "held" and "times the expected noise" in said["message"]
    assert (
        f"contimg publish approve {ID} --version 1 --manifest {said['manifest_sha256'][:12]} --reason"
        in said["message"]
    )
    decisions.approve(registry, config.layout, ID, "checked by eye")
    after = publish.publish(registry, config.layout, ID, claim_s=60, max_attempts=3)
    assert after.status == "published" and bundle.verify(after.path).ok
    row = queries.get(registry, ID)
    assert (row["qa_status"], row["approved_reason"]) == (severity, "checked by eye") and row["approved_by"]
    assert marker(config)["status"] == "published" and "checked by eye" in marker(config)["message"]
    published = json.loads((after.path / bundle.PUBLICATION).read_text())
    assert published["approved_reason"] == "checked by eye" and published["sha256"] == row["sha256"]


def test_an_approval_needs_a_reason_and_an_image(registry, config):
    run(config, reasons=[mosaics.FAILED], omit=[f"{ID}.fits"])
    with pytest.raises(RegistryError, match="has no image"):
        decisions.approve(registry, config.layout, ID, "go on")
    run(config, reasons=[mosaics.FAILED])
    with pytest.raises(InputError, match="no reason given"):
        decisions.approve(registry, config.layout, ID, " ")
    assert queries.get(registry, ID)["status"] == "held"


def test_what_is_rejected_stays_out(registry, config):
    run(config, reasons=[mosaics.FAILED])
    decisions.reject(registry, config.layout, ID, "striping")
    assert publish_mosaic(ID, config, waits_s=()).status == "rejected"
    assert marker(config)["status"] == "rejected" and "striping" in marker(config)["message"]
    with pytest.raises(RegistryError, match="is rejected"):
        decisions.approve(registry, config.layout, ID, "after all")
    assert not (config.paths.products / "mosaics").exists()
    register_mosaic(ID, config)
    assert queries.get(registry, ID)["status"] == "rejected"


def test_what_is_withdrawn_is_hidden_not_deleted(registry, config):
    done = run(config)
    digest = queries.get(registry, ID)["sha256"]
    row = decisions.withdraw(registry, config.layout, ID, "wrong flux scale")
    hidden = config.paths.products / ".withdrawn" / "mosaics" / "2026-02-11" / ID
    assert not done.path.exists() and row["published_path"] == str(hidden)
    assert bundle.verify(hidden, expected=digest).ok
    assert marker(config)["status"] == "withdrawn"
    assert publish_mosaic(ID, config, waits_s=()).status == "withdrawn"
    assert not done.path.exists()
    assert queries.events(registry, ID)[-1]["message"] == "wrong flux scale"


def test_auto_false_holds_what_passed(registry, config):
    options = config.publish.model_copy(update={"auto": False})
    done = run(config.model_copy(update={"publish": options}))
    assert done.status == "held" and "publish.auto is false" in marker(config)["message"]


def test_another_bundle_under_the_final_name_is_never_replaced(registry, config):
    final = config.layout.bundle(ID, 1)
    final.mkdir(parents=True)
    (final / "precious.fits").write_text("of someone else")
    with pytest.raises(ContimgError, match=r"exists with other content .* never overwritten"):
        run(config)
    assert [path.name for path in final.iterdir()] == ["precious.fits"]
    row = queries.get(registry, ID)
    assert (row["status"], row["attempts"]) == ("staging", 1) and "never overwritten" in row["error"]
    shutil.rmtree(final)
    assert publish_mosaic(ID, config, waits_s=()).created


def test_an_empty_folder_under_the_final_name_is_not_taken(config):
    config.layout.bundle(ID, 1).mkdir(parents=True)
    with pytest.raises(ContimgError, match="exists with other content"):
        run(config)


def test_the_same_bundle_under_the_final_name_is_success(registry, config):
    done = run(config)
    with registry.transaction() as connection:
        values = {"status": "staging", "published_path": None, "published_at": None}
        connection.execute(update(data_registry).values(**values))
    inode = done.path.stat().st_ino
    again = publish.publish(registry, config.layout, ID, claim_s=60, max_attempts=3)
    assert again.status == "published" and again.path.stat().st_ino == inode


def test_the_stage_is_removed_only_by_policy_and_after_another_look(registry, config):
    done = run(config)
    staged = Path(queries.get(registry, ID)["stage_path"])
    assert staged.is_dir()
    damaged = done.path / "data" / f"{ID}.png"
    content = damaged.read_bytes()
    damaged.write_bytes(b"x" + content[1:])
    with pytest.raises(RegistryError, match="the staged copy is kept"):
        remove_staged(registry, config.layout, ID, 1)
    assert staged.is_dir()
    damaged.write_bytes(content)
    options = config.publish.model_copy(update={"remove_stage": True})
    tidy = config.model_copy(update={"publish": options})
    publish_mosaic(ID, tidy, waits_s=())
    assert not staged.exists() and config.layout.product("mosaic", ID).is_dir()
    assert publish_mosaic(ID, tidy, waits_s=()).status == "published"
    register_mosaic(ID, tidy)
    assert len(queries.versions(registry, ID)) == 1


def test_an_unknown_id_is_named(registry, config):
    with pytest.raises(UnknownIdError, match="contimg registry list"):
        publish.publish(registry, config.layout, ID, claim_s=60, max_attempts=3)
    with pytest.raises(UnknownIdError, match="not the id of a mosaic"):
        publish_mosaic("nonsense", config)


def attempt(registry, config, version=None):
    return publish.publish(registry, config.layout, ID, version, claim_s=60, max_attempts=3)


def test_what_was_registered_and_not_finalized_is_finalized_first(registry, config):
    """As after a crash between the two: a mosaic that did not pass is held, and not published unjudged."""
    mosaics.make_mosaic(config, reasons=[mosaics.WARNING])
    register(registry, config.layout, ID, auto_publish=True)
    assert queries.get(registry, ID)["finalization_status"] == "pending"
    done = attempt(registry, config)
    assert (done.status, done.created) == ("held", False)
    assert queries.get(registry, ID)["finalization_status"] == "finalized"


def test_an_older_version_says_nothing_in_the_marker_of_a_newer_one_without_outcome(registry, config):
    run(config)
    before = marker(config)
    mosaics.make_mosaic(config, seed=2)
    register(registry, config.layout, ID, auto_publish=True)
    done = attempt(registry, config, version=1)
    assert (done.version, done.status, done.message) == (1, "published", "published as version 1")
    assert marker(config) == before  # that of version 2 is written when it has an outcome
    assert attempt(registry, config, version=2).created and marker(config)["version"] == 2


def test_a_superseded_version_is_an_outcome_with_its_state(registry, config):
    mosaics.make_mosaic(config)
    register(registry, config.layout, ID, auto_publish=True)
    mosaics.make_mosaic(config, seed=2)
    register(registry, config.layout, ID, auto_publish=True)
    done = attempt(registry, config, version=1)
    assert (done.status, done.created, done.message) == ("superseded", False, f"{ID} version 1 is superseded")
    assert done.path == Path(queries.get(registry, ID, 1)["stage_path"])


def test_a_marker_that_cannot_be_written_is_one_sentence_and_the_mosaic_stays_published(registry, config):
    mosaics.make_mosaic(config)
    register_mosaic(ID, config)
    (config.paths.stage / "published").write_text("a file where a folder should be")
    with pytest.raises(ContimgError) as failed:
        attempt(registry, config)
    assert "published" in str(failed.value)
    assert queries.get(registry, ID)["status"] == "published" and config.layout.bundle(ID, 1).is_dir()
    (config.paths.stage / "published").unlink()
    assert not attempt(registry, config).created and marker(config)["status"] == "published"


@pytest.mark.parametrize(
    ("number", "transient"),
    [("ESTALE", True), ("EIO", True), ("ETIMEDOUT", True), ("ENOSPC", False), ("EACCES", False), ("EROFS", False)],
)
def test_faults_that_may_pass_are_told_from_those_that_do_not(number, transient):
    import errno

    with pytest.raises(publish.PublishFailed) as failed, publish.machine_faults("mosaic was not published"):
        raise OSError(getattr(errno, number), "said so", "/archive/x")
    assert str(failed.value) == (
        "mosaic was not published: said so (/archive/x): repair that and rerun the same command"
    )
    assert failed.value.transient is transient and isinstance(failed.value.__cause__, OSError)


def test_an_error_without_errno_is_said_as_it_stands():
    assert publish.sentence(OSError("no such luck")) == "no such luck"


def force_passed(registry, **values):
    """Do what a person with the database's password can do: call a mosaic passed, by SQL."""
    values = {"qa_status": "passed", "held_json": None} | values
    with registry.transaction() as connection:
        connection.execute(update(data_registry).where(data_registry.c.data_id == ID).values(**values))


@pytest.mark.parametrize("reason", [mosaics.FAILED, mosaics.WARNING])
def test_a_verdict_that_was_edited_in_the_database_publishes_nothing(registry, config, reason):
    mosaics.make_mosaic(config, reasons=[reason])
    register_mosaic(ID, config)
    assert publish_mosaic(ID, config, waits_s=()).status == "held"
    force_passed(registry, status="staging")
    with pytest.raises(ContimgError, match=f"the registry says .* is passed, and its bundle .* says {reason.severity}"):
        publish_mosaic(ID, config, waits_s=())
    assert not config.layout.bundle(ID, 1).exists()
    assert queries.get(registry, ID)["status"] == "staging"


def test_a_published_mosaic_whose_verdict_was_edited_is_found(registry, config):
    """Published by an approval, of which neither the registry nor the bundle's record knows any more."""
    mosaics.make_mosaic(config, reasons=[mosaics.FAILED])
    register_mosaic(ID, config)
    publish_mosaic(ID, config, waits_s=())
    decisions.approve(registry, config.layout, ID, "looked at it")
    final = publish_mosaic(ID, config, waits_s=()).path
    assert reconcile(registry, config.layout) == []
    force_passed(registry, approved_by=None, approved_at=None, approved_reason=None)
    with registry.transaction() as connection:
        connection.execute(publish_events.delete().where(publish_events.c.event == "approved"))
    for record in (final / PUBLICATION, Path(queries.get(registry, ID)["stage_path"]) / PUBLICATION):
        record.unlink(missing_ok=True)
    found = [one for one in reconcile(registry, config.layout) if one.code == "verdict_differs"]
    assert [(one.needs_person, one.path) for one in found] == [(True, str(final))]
    assert "is passed, and its bundle" in found[0].message and "says failed" in found[0].message


def test_registering_publishing_and_deciding_leave_no_file_open(registry, config):
    """A watcher does it for years in one process."""

    def work(seed):
        mosaics.run(config, seed=seed)
        decisions.withdraw(registry, config.layout, Named(ID, seed), "wrong")
        decisions.restore(registry, config.layout, Named(ID, seed), "right")
        reconcile(registry, config.layout)
        return len(os.listdir("/proc/self/fd"))

    work(1)  # what is opened once and kept
    assert work(2) == work(3)
