"""Publishing: once, verified, never over something else, held by verdict, decided by people."""

import errno
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import update

from contimg import bundle, publish
from contimg.errors import BusyError, ContimgError, RegistryError, UnknownIdError
from contimg.publishing import checkpoints, claims, decisions, files
from contimg.publishing.owner import Owner, is_dead, machine, me
from contimg.registry import queries
from contimg.registry.schema import data_registry
from tests.faults import injection
from tests.registry import factory

ID = factory.MOSAIC


def run(config, **mosaic):
    factory.make_mosaic(config, **mosaic)
    publish.run_register(ID, config)
    return publish.run_publish(ID, config, waits_s=())


def marker(config, kind="published"):
    return json.loads(config.layout.twin(kind, ID).read_text())


def snapshot(*folders: Path) -> dict[str, tuple[int, bytes | None]]:
    return {
        str(path): (path.stat().st_mtime_ns, path.read_bytes() if path.is_file() else None)
        for folder in folders
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture
def no_hook():
    yield
    checkpoints.hook = None


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
    assert checked.returncode == 0 and checked.stdout.count(": OK") == 11
    for name in (f"{ID}.fits", f"{ID}.weights.fits", f"{ID}.rms.fits", f"{ID}.png", f"{ID}.tiles.csv"):
        assert (final / name).read_bytes() == (config.layout.product("mosaic", ID) / name).read_bytes()
    assert (final / "crossmatch" / f"{ID}.matches.csv").is_file() and (final / f"{ID}.html").is_file()
    assert json.loads((final / bundle.METADATA).read_text())["synthetic"] is True
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
    publish.run_register(ID, config)
    again = publish.run_publish(ID, config, waits_s=())
    assert (again.status, again.created) == ("published", False)
    assert snapshot(config.paths.stage, config.paths.products) == before
    assert queries.versions(registry, ID) == rows and queries.events(registry, ID) == events


def test_a_deleted_marker_comes_back_the_same(config):
    run(config)
    places = [config.layout.twin(kind, ID) for kind in ("registered", "published")]
    before = [place.read_bytes() for place in places]
    for place in places:
        place.unlink()
    publish.run_register(ID, config)
    publish.run_publish(ID, config, waits_s=())
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
    done = run(config, reasons=[getattr(factory, severity.upper())])
    assert done.status == "held" and not (config.paths.products / "mosaics").exists()
    said = marker(config)
    assert said["status"] == "held" and "times the expected noise" in said["message"]
    assert f"contimg publish approve {ID} --reason" in said["message"]
    decisions.approve(registry, ID, "checked by eye")
    after = publish.publish(registry, config.layout, ID, claim_s=60, max_attempts=3)
    assert after.status == "published" and bundle.verify(after.path).ok
    row = queries.get(registry, ID)
    assert (row["qa_status"], row["approved_reason"]) == (severity, "checked by eye") and row["approved_by"]
    assert marker(config)["status"] == "published" and "checked by eye" in marker(config)["message"]
    published = json.loads((after.path / bundle.PUBLICATION).read_text())
    assert published["approved_reason"] == "checked by eye" and published["sha256"] == row["sha256"]


def test_an_approval_needs_a_reason_and_an_image(registry, config):
    run(config, reasons=[factory.FAILED], omit=[f"{ID}.fits"])
    with pytest.raises(RegistryError, match="has no image"):
        decisions.approve(registry, ID, "go on")
    run(config, reasons=[factory.FAILED])
    with pytest.raises(RegistryError, match="no reason given"):
        decisions.approve(registry, ID, " ")
    assert queries.get(registry, ID)["status"] == "held"


def test_what_is_rejected_stays_out(registry, config):
    run(config, reasons=[factory.FAILED])
    decisions.reject(registry, config.layout, ID, "striping")
    assert publish.run_publish(ID, config, waits_s=()).status == "rejected"
    assert marker(config)["status"] == "rejected" and "striping" in marker(config)["message"]
    with pytest.raises(RegistryError, match="is rejected"):
        decisions.approve(registry, ID, "after all")
    assert not (config.paths.products / "mosaics").exists()
    publish.run_register(ID, config)
    assert queries.get(registry, ID)["status"] == "rejected"


def test_what_is_withdrawn_is_hidden_not_deleted(registry, config):
    done = run(config)
    digest = queries.get(registry, ID)["sha256"]
    row = decisions.withdraw(registry, config.layout, ID, "wrong flux scale")
    hidden = config.paths.products / ".withdrawn" / "mosaics" / "2026-02-11" / ID
    assert not done.path.exists() and row["published_path"] == str(hidden)
    assert bundle.verify(hidden, expected=digest).ok
    assert marker(config)["status"] == "withdrawn"
    assert publish.run_publish(ID, config, waits_s=()).status == "withdrawn"
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
    assert publish.run_publish(ID, config, waits_s=()).created


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


def test_an_archive_folder_that_is_a_symlink_is_refused(registry, config, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    config.paths.products.mkdir()
    os.symlink(tmp_path / "elsewhere", config.paths.products / "mosaics")
    with pytest.raises(ContimgError, match="'mosaics', which is a symlink"):
        run(config)
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize("wrong", ["{products}/x", "{stage}/../incoming/v1", "/etc", "{stage}"])
def test_a_stage_path_outside_the_stage_is_refused(registry, config, wrong):
    factory.make_mosaic(config)
    publish.run_register(ID, config)
    path = wrong.format(products=config.paths.products, stage=config.paths.stage)
    with registry.transaction() as connection:
        connection.execute(update(data_registry).values(stage_path=path))
    with pytest.raises(publish.PublishFailed, match=r"is not below paths\.stage"):
        publish.publish(registry, config.layout, ID, claim_s=60, max_attempts=3)
    assert not config.layout.bundle(ID, 1).exists()


def test_a_symlink_put_into_the_staged_bundle_is_refused(registry, config, tmp_path):
    factory.make_mosaic(config)
    staged = publish.run_register(ID, config).path / f"{ID}.png"
    (tmp_path / "other.png").write_bytes(staged.read_bytes())
    staged.unlink()
    os.symlink(tmp_path / "other.png", staged)
    with pytest.raises(ContimgError, match="symlink"):
        publish.publish(registry, config.layout, ID, claim_s=60, max_attempts=3)
    assert not config.layout.bundle(ID, 1).exists()


def test_attempts_are_counted_until_a_person_is_needed(registry, config):
    factory.make_mosaic(config)
    publish.run_register(ID, config)
    products = config.paths.products
    products.mkdir()
    (products / "mosaics").write_text("a file where a folder should be")
    for attempt in range(1, 4):
        with pytest.raises(publish.PublishFailed, match=f"contimg publish retry {ID}"):
            publish.run_publish(ID, config, waits_s=())
        row = queries.get(registry, ID)
        assert (row["attempts"], row["status"]) == (attempt, "staging") and "mosaics" in row["error"]
    (products / "mosaics").unlink()
    with pytest.raises(RegistryError, match=r"failed to be published 3 times .*contimg publish retry"):
        publish.run_publish(ID, config, waits_s=())
    decisions.retry(registry, ID)
    done = publish.run_publish(ID, config, waits_s=())
    assert done.created and queries.get(registry, ID)["error"] is None
    assert [e["event"] for e in queries.events(registry, ID)][-5:] == [
        "failed",
        "failed",
        "failed",
        "retry",
        "published",
    ]


def forked(action) -> int:
    """Run in another process (the system calls of this one stay whole); return its exit code."""
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parents[2])!r})\n{action}"
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)


def test_a_transient_fault_is_tried_again_by_itself(registry, sqlite_config):
    factory.make_mosaic(sqlite_config)
    publish.run_register(ID, sqlite_config)
    options = sqlite_config.model_dump_json()
    script = f"""
from contimg.config import Config
from contimg import publish
from tests.faults import injection
config = Config.model_validate_json({options!r}, strict=False)
injection.refuse_call("fsync", 5, {errno.EIO}, persistent=False)
print(publish.run_publish({ID!r}, config, waits_s=(0.05, 0.05)).created)
"""
    ended = forked(script)
    assert (ended.returncode, ended.stdout) == (0, "True\n"), ended.stderr


def test_a_full_disk_gives_one_sentence_and_a_rerun_publishes(sqlite_config):
    """The kernel's own refusal: a limit on the size of files (EFBIG), as a quota would."""
    factory.make_mosaic(sqlite_config, size_px=300)
    publish.run_register(ID, sqlite_config)
    script = f"""
import resource, signal
from contimg.config import Config
from contimg import publish
from contimg.errors import ContimgError
config = Config.model_validate_json({sqlite_config.model_dump_json()!r}, strict=False)
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, {resource.RLIM_INFINITY}))
try:
    publish.run_publish({ID!r}, config, waits_s=())
except ContimgError as error:
    print(error)
"""
    ended = forked(script)
    assert "was not published: File too large" in ended.stdout and "contimg publish retry" in ended.stdout, ended
    assert not sqlite_config.layout.bundle(ID, 1).exists()
    assert list((sqlite_config.paths.products / ".incoming").iterdir()) == []
    assert publish.run_publish(ID, sqlite_config, waits_s=()).created


def test_stage_and_archive_may_stand_on_different_filesystems(tmp_path):
    other = Path("/dev/shm")
    if not os.access(other, os.W_OK) or other.stat().st_dev == tmp_path.stat().st_dev:
        pytest.skip("/dev/shm is no second filesystem here")
    config = factory.config_below(tmp_path)
    archive = Path(subprocess.check_output(["mktemp", "-d", "-p", other], text=True).strip())
    try:
        config = config.model_copy(update={"paths": config.paths.model_copy(update={"products": archive})})
        done = run(config)
        assert done.path.stat().st_dev != config.paths.stage.stat().st_dev
        assert bundle.verify(done.path).ok
    finally:
        shutil.rmtree(archive)


def claimed(registry, owner: Owner, expires_unix_s: float) -> None:
    with registry.transaction() as connection:
        values = {"status": "publishing", "claim_token": "t", "claim_owner": owner.to_json()}
        connection.execute(update(data_registry).values(**values, claim_expires_unix_s=expires_unix_s))


def parent() -> Owner:
    start = int(Path(f"/proc/{os.getppid()}/stat").read_text().rpartition(")")[2].split()[19])
    return Owner(me().host, machine(), os.getppid(), start)


def test_a_living_publisher_is_left_alone(registry, config):
    factory.make_mosaic(config)
    publish.run_register(ID, config)
    claimed(registry, parent(), time.time() + 100)
    with pytest.raises(BusyError, match=rf"is being published by process {os.getppid()} on"):
        publish.run_publish(ID, config, waits_s=())
    assert queries.get(registry, ID)["claim_token"] == "t"


@pytest.mark.parametrize(
    ("owner", "left_s"),
    [
        (Owner("here", machine(), 999_999_999, 1), 1000),  # no such process
        (Owner("here", machine(), 1, 1), 1000),  # the process id was given to another since
        (Owner("there", "00-1", 1, 1), -1),  # of another machine, and expired
    ],
)
def test_the_claim_of_a_dead_publisher_does_not_block(registry, config, owner, left_s):
    factory.make_mosaic(config)
    publish.run_register(ID, config)
    claimed(registry, owner, time.time() + left_s)
    done = publish.run_publish(ID, config, waits_s=())
    assert done.created
    assert "reconciled" in [event["event"] for event in queries.events(registry, ID)]


def test_a_claim_of_another_machine_is_waited_for(registry, config):
    factory.make_mosaic(config)
    publish.run_register(ID, config)
    claimed(registry, Owner("there", "00-1", 1, 1), time.time() + 1000)
    if config.registry.url is None:  # a local file: its machine can only have been restarted
        assert publish.run_publish(ID, config, waits_s=()).created
    else:
        with pytest.raises(BusyError, match="on there: wait for it"):
            publish.run_publish(ID, config, waits_s=())


def test_another_boot_means_dead_only_where_the_registry_is_local():
    owner = Owner("host", "00-" + machine().partition("-")[2], 1, 1)
    assert is_dead(owner, same_machine=True) and not is_dead(owner, same_machine=False)
    assert not is_dead(me())


def test_who_was_overtaken_changes_nothing(registry, config, no_hook):
    """The claim is taken over in the middle of the copy: the slow one stops, the row stays the other's."""
    factory.make_mosaic(config)
    publish.run_register(ID, config)
    injection.at_checkpoint("publish:copied", lambda: claimed(registry, parent(), time.time() + 100))
    with pytest.raises(claims.ClaimLost, match="taken over by another publisher"):
        publish.publish(registry, config.layout, ID, claim_s=60, max_attempts=3)
    row = queries.get(registry, ID)
    assert (row["status"], row["claim_token"], row["attempts"]) == ("publishing", "t", 0)
    assert not config.layout.bundle(ID, 1).exists()
    assert list((config.paths.products / ".incoming").iterdir()) == []


def test_a_claim_is_renewed_while_the_copy_runs(registry, config, no_hook):
    factory.make_mosaic(config)
    publish.run_register(ID, config)
    seen = []

    def hook(name):
        if name == "publish:file":
            time.sleep(0.1)
            seen.append(queries.get(registry, ID)["claim_expires_unix_s"])

    checkpoints.hook = hook
    publish.publish(registry, config.layout, ID, claim_s=0.5, max_attempts=3)
    assert len(set(seen)) >= 3 and seen == sorted(seen)


def test_the_stage_is_removed_only_by_policy_and_after_another_look(registry, config):
    done = run(config)
    staged = Path(queries.get(registry, ID)["stage_path"])
    assert staged.is_dir()
    damaged = done.path / f"{ID}.png"
    content = damaged.read_bytes()
    damaged.write_bytes(b"x" + content[1:])
    with pytest.raises(RegistryError, match="the staged copy is kept"):
        publish.remove_staged(registry, config.layout, ID, 1)
    assert staged.is_dir()
    damaged.write_bytes(content)
    options = config.publish.model_copy(update={"remove_stage": True})
    tidy = config.model_copy(update={"publish": options})
    publish.run_publish(ID, tidy, waits_s=())
    assert not staged.exists() and config.layout.product("mosaic", ID).is_dir()
    assert publish.run_publish(ID, tidy, waits_s=()).status == "published"
    publish.run_register(ID, tidy)
    assert len(queries.versions(registry, ID)) == 1


def test_an_unknown_id_is_named(registry, config):
    with pytest.raises(UnknownIdError, match="contimg registry list"):
        publish.publish(registry, config.layout, ID, claim_s=60, max_attempts=3)
    with pytest.raises(UnknownIdError, match="not the id of a mosaic"):
        publish.run_publish("nonsense", config)


def test_renaming_never_replaces(tmp_path):
    for name in ("source", "taken"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).touch()
    with files.open_folder(tmp_path) as folder:
        with pytest.raises(FileExistsError):
            files.rename_new(folder, "source", folder, "taken")
        files.rename_new(folder, "source", folder, "new")
    assert (tmp_path / "taken" / "taken").exists() and (tmp_path / "new" / "source").exists()


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.EINVAL])
def test_renaming_never_replaces_on_filesystems_without_renameat2(tmp_path, monkeypatch, number):
    def unknown(*_):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(files, "_renameat2", unknown)
    test_renaming_never_replaces(tmp_path)
