"""Copying a bundle: the copy is the registered bundle to the last byte, or one sentence says why there is none."""

import contextlib
import errno
import os
import stat
from dataclasses import replace
from pathlib import Path

import pytest

from contimg.archive.update import rebuild
from contimg.bundle import bundle
from contimg.bundle.bag import TAG_MANIFEST, TAGS
from contimg.errors import RegistryError
from contimg.publishing import checkpoints, copying, decisions, publish
from contimg.publishing.copying import CopyJob, copy_bundle, incoming_name
from contimg.publishing.register import register
from contimg.publishing.register_mosaic import register_mosaic
from contimg.storage import safe_files
from tests.support import mosaics
from tests.support.databases import memory_folder
from tests.support.registered_nights import RegisteredNight

ID = mosaics.MOSAIC
REMEDY = "the bundle was altered on the stage, so make it again with snakemake --forcerun register_mosaic"


@pytest.fixture(scope="module")
def night():
    with memory_folder() as folder, contextlib.closing(RegisteredNight(folder)) as made:
        yield made


@pytest.fixture
def job(night):
    """The bundle of a mosaic that was just registered."""
    night.restore("passed")
    made = register(night.registry, night.config.layout, ID, auto_publish=True)
    yield CopyJob(night.config.layout, made.path, made.manifest_sha256, {"version": 1}, lambda: None)
    checkpoints.hook = None


def copied(job):
    """Copy a bundle to ``<products>/.incoming/copy`` and return that path."""
    with safe_files.open_folder(job.layout.products, ".incoming", create=True) as incoming:
        copy_bundle(job, incoming, "copy")
    return job.layout.products / ".incoming" / "copy"


def test_the_log_of_a_job_says_how_much_was_copied(job, caplog):
    with caplog.at_level("INFO"):
        folder = copied(job)
    added = {bundle.MANIFEST, bundle.PUBLICATION, TAG_MANIFEST}
    sizes = [path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.name not in added]
    assert caplog.messages == [
        f"copied {len(sizes)} files, {sum(sizes) / 1e6:.1f} MB; each was read back and has its SHA-256"
    ]


def at(name, action):
    """Do something when a checkpoint is passed for the first time."""
    passed = []

    def hook(point):
        passed.append(point)
        if point == name and passed.count(name) == 1:
            action()

    checkpoints.hook = hook


def test_a_copy_has_every_byte_of_the_stage_and_the_given_record(job):
    copy = copied(job)
    assert bundle.verify(copy, expected=job.manifest_sha256).ok
    names = {str(path.relative_to(copy)) for path in copy.rglob("*") if path.is_file()}
    staged = {str(path.relative_to(job.stage_path)) for path in job.stage_path.rglob("*") if path.is_file()}
    assert names == staged
    for name in names - {bundle.PUBLICATION}:
        assert (copy / name).read_bytes() == (job.stage_path / name).read_bytes()
        assert (copy / name).stat().st_ino != (job.stage_path / name).stat().st_ino  # no link into the stage
    assert (copy / bundle.PUBLICATION).read_bytes() == b'{\n "version": 1\n}\n'


def copied_files(job):
    """Return the files that are copied one by one: those of both manifests, and not the manifests."""
    return [*bundle.read_manifest(job.stage_path)[1], *TAGS]


def test_a_copy_is_named_after_the_product_and_the_claim():
    assert incoming_name(ID, "0f0f") == f"{ID}.0f0f"


def test_a_copy_goes_on_only_while_its_claim_is_alive(job):
    """Asked before each file, after each block that was copied and after each that was read back."""
    asked = []
    copied(replace(job, alive=lambda: asked.append(True)))
    assert len(asked) == 3 * len(copied_files(job))

    def stop():
        raise RegistryError("another publisher took over")

    (job.layout.products / ".incoming" / "copy").rename(job.layout.products / "first")
    with pytest.raises(RegistryError, match="another publisher took over"):
        copied(replace(job, alive=stop))
    assert [path.name for path in (job.layout.products / ".incoming" / "copy").iterdir()] == []


def test_another_manifest_than_the_registered_one_is_refused(job):
    with pytest.raises(RegistryError) as refused:
        copied(replace(job, manifest_sha256="0" * 64))
    path = job.stage_path / bundle.MANIFEST
    assert str(refused.value) == f"{path} is not the manifest that was registered: {REMEDY}"
    assert not (job.layout.products / ".incoming" / "copy").exists()


@pytest.mark.parametrize("name", ["notes.txt", "crossmatch/extra.csv", "new/below.txt", ".hidden"])
def test_a_file_that_the_manifest_does_not_list_is_refused(job, name):
    (job.stage_path / name).parent.mkdir(exist_ok=True)
    (job.stage_path / name).write_text("by hand")
    with pytest.raises(RegistryError) as refused:
        copied(job)
    assert str(refused.value) == f"{job.stage_path / name} is not in the manifest: {REMEDY}"


def test_a_source_that_is_not_what_the_manifest_says_is_named(job):
    """The copy reads back as something else, and so does the source: it is the stage that was altered."""
    source = job.stage_path / "data" / f"{ID}.png"
    source.write_bytes(source.read_bytes() + b"x")
    with pytest.raises(RegistryError) as refused:
        copied(job)
    assert str(refused.value) == f"{source} does not have the SHA-256 of its manifest: {REMEDY}"


def test_a_copy_that_reads_back_differently_is_the_archives_fault(job):
    """A disk that keeps something else than was written: the file is changed behind the publisher's back."""
    victim = sorted(copied_files(job))[0]
    target = job.layout.products / ".incoming" / "copy" / victim
    asked = []

    def alive():
        asked.append(True)
        if len(asked) == 2:  # the block is written, and not yet read back
            descriptor = os.open(target, os.O_WRONLY)
            os.pwrite(descriptor, b"\xff", 0)
            os.close(descriptor)

    with pytest.raises(RegistryError) as refused:
        copied(replace(job, alive=alive))
    said = f"the copy of {job.stage_path / victim} reads back differently: check the archive's disk, then retry"
    assert str(refused.value) == said


def test_a_manifest_that_reads_back_differently_is_the_archives_fault(job):
    manifest = job.layout.products / ".incoming" / "copy" / bundle.MANIFEST
    at("publish:copied", lambda: manifest.write_bytes(b""))
    with pytest.raises(RegistryError, match=r"manifest of v1 reads back differently .*check the archive's disk"):
        copied(job)


def test_a_name_that_is_taken_is_not_copied_over(job):
    taken = job.layout.products / ".incoming" / "copy"
    taken.mkdir(parents=True)
    (taken / "precious").touch()
    with pytest.raises(FileExistsError):
        copied(job)
    assert [path.name for path in taken.iterdir()] == ["precious"]


def test_a_refusal_names_the_folder_and_not_its_descriptor(job, monkeypatch):
    """``/proc/self/fd/9/data`` says nothing to an operator, and its number is another one in each run."""
    mkdir = os.mkdir

    def full(path, *args, **named):
        if path == "data":
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
        return mkdir(path, *args, **named)

    monkeypatch.setattr(os, "mkdir", full)
    with pytest.raises(OSError, match="No space left") as refused:
        copied(job)
    assert refused.value.filename == str(job.layout.products / ".incoming" / "copy" / "data")


def test_copying_leaves_no_file_open(job):
    before = os.listdir("/proc/self/fd")
    copied(job)
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_a_link_on_the_way_below_an_opened_folder_is_named_by_its_path(tmp_path):
    (tmp_path / "odd").symlink_to("/tmp")
    with (
        safe_files.open_folder(tmp_path) as folder,
        pytest.raises(RegistryError, match=f"^{tmp_path}/odd/below leads through 'odd'"),
        safe_files.open_folder(Path(f"/proc/self/fd/{folder}"), "odd/below"),
    ):
        pass


def test_a_stage_path_elsewhere_is_refused(job, night):
    elsewhere = night.config.paths.products / "v1"
    with pytest.raises(RegistryError, match=r"is not below paths\.stage"):
        copied(replace(job, stage_path=elsewhere))


def test_checkpoints_are_passed_once_for_each_file_and_in_order(job):
    passed = []
    checkpoints.hook = passed.append
    copied(job)
    files = len(copied_files(job))
    assert passed == ["publish:incoming", *["publish:file"] * files, "publish:copied", "publish:verified"]


@pytest.mark.parametrize("umask", [0o022, 0o077, 0o002])
@pytest.mark.parametrize("mode", ["0644", "0640", "0664"])
def test_who_may_read_the_archive_is_said_by_the_configuration_and_not_by_the_umask(registry, config, umask, mode):
    mosaics.make_mosaic(config)
    register_mosaic(ID, config)
    config = config.model_copy(update={"publish": config.publish.model_copy(update={"mode": mode})})
    layout, reads = config.layout, int(mode, 8) & 0o444
    entered = int(mode, 8) | reads >> 2
    before = os.umask(umask)
    try:
        done = publish.publish(registry, layout, ID, claim_s=60, max_attempts=3, read_only=True)
        rebuild(registry, layout)
        assert os.umask(umask) == umask  # what is made elsewhere follows the umask of who runs it
        decisions.withdraw(registry, layout, ID, "wrong")
        decisions.restore(registry, layout, ID, "right after all")
    finally:
        os.umask(before)

    def modes(paths):
        return {stat.S_IMODE(path.stat().st_mode) for path in paths}

    assert modes(path for path in done.path.rglob("*") if path.is_file()) == {reads}
    products = layout.products
    assert modes([path for path in products.rglob("*") if path.is_dir()] + [products]) == {entered}
    assert modes(p for p in products.rglob("*") if p.is_file() and done.path not in p.parents) == {int(mode, 8)}


def test_only_copies_without_a_living_claim_are_fenced_off(tmp_path):
    for name in ("mosaic_a.one", "mosaic_a.two", "mosaic_ab.one", ".mosaic_a.part-1"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").touch()
    with safe_files.open_folder(tmp_path) as incoming:
        copying.fence(incoming, "mosaic_a", {"two"})
    assert {path.name for path in tmp_path.iterdir()} == {"mosaic_a.two", "mosaic_ab.one", ".mosaic_a.part-1"}


@pytest.mark.parametrize("name", [f"data/{ID}.fits", "README.txt"])
def test_an_endless_file_of_the_stage_is_not_copied(job, name):
    """It would fill the archive's disk before it is found to be another than the registered one."""
    (job.stage_path / name).chmod(0o644)
    os.truncate(job.stage_path / name, 1 << 40)
    with pytest.raises(
        RegistryError, match=rf"{name} is 1099511627776 bytes long, and can have [0-9]+ at most: {REMEDY}"
    ):
        copied(job)
