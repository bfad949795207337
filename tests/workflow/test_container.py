"""The container recipe, built from Debian's packages and an index-free folder of wheels; a small night runs in it."""

import shutil
import subprocess
import sys

import pytest

from contimg import __version__
from tests.workflow.conftest import ROOT

pytestmark = pytest.mark.container

BASE = "docker.io/library/debian:bookworm-slim"
SMALL = "--tiles 2 --antennas 12 --channels 2 --sources 6 --max-baseline 400"
NIGHT = f"""
set -e
contimg --version
contimg simulate /data/night {SMALL} >&2
contimg run /data/night/config.yaml --cores 2 --quiet >&2
contimg -c /data/night/config.yaml verify --all >&2
"""


class Storage:
    """Images of containers in a folder of their own: those of the machine are neither seen nor changed."""

    def __init__(self, folder):
        self.options = ["--root", str(folder / "storage"), "--runroot", str(folder / "run")]

    def buildah(self, command, *words, check=True):
        done = subprocess.run(
            ["buildah", *self.options, command, *map(str, words)], capture_output=True, text=True, check=False
        )
        assert not check or done.returncode == 0, f"buildah {command}: {(done.stdout + done.stderr)[-4000:]}"
        return done.stdout.strip()


@pytest.fixture(scope="module")
def storage(tmp_path_factory):
    folder = tmp_path_factory.mktemp("container")
    made = Storage(folder)
    yield made
    made.buildah("rm", "--all", check=False)  # unmounts what is left
    made.buildah("rmi", "--all", "--force", check=False)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def image(storage, tmp_path_factory):
    """The image: its base is what debootstrap makes of Debian, its wheels are those that this machine's pip finds."""
    folder = tmp_path_factory.mktemp("parts")
    base, wheels, pip = folder / "base", folder / "wheels", folder / "pip.conf"
    run("debootstrap", "--variant=minbase", "bookworm", base)
    container = storage.buildah("from", "scratch")
    storage.buildah("add", container, base, "/")
    storage.buildah("commit", "--rm", container, BASE)
    run(
        sys.executable, "-m", "pip", "wheel", "--quiet", "--wheel-dir", wheels, "-c", ROOT / "envs/constraints.txt",
        ROOT, "setuptools",
    )  # fmt: skip
    pip.write_text("[global]\nno-index = true\nfind-links = /mnt/wheels\n")
    mounts = [("-v", f"{source}:{target}:ro") for source, target in ((wheels, "/mnt/wheels"), (pip, "/etc/pip.conf"))]
    options = ["--isolation", "chroot", "--network", "host", "--pull-never", *(word for one in mounts for word in one)]
    storage.buildah("build", *options, "-t", "contimg", clone(folder / "clone"))
    yield "localhost/contimg"
    shutil.rmtree(folder, ignore_errors=True)


def run(*command):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]


def clone(folder):
    """Copy the files under version control, as a clone has them."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    for name in listed.rstrip("\0").split("\0"):
        target = folder / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, target, follow_symlinks=False)
    return folder


def test_a_night_in_the_container_is_published(storage, image, tmp_path):
    container = storage.buildah("from", "--pull-never", image)
    options = ["--isolation", "chroot", "-v", f"{tmp_path}:/data"]
    said = storage.buildah("run", *options, container, "sh", "-c", NIGHT)
    assert said == f"contimg, version {__version__}"
    (bundle,) = (tmp_path / "night/products/mosaics").glob("*/mosaic_*")
    assert (bundle / "data" / f"{bundle.name}.fits").exists()


def test_the_container_starts_contimg_with_one_thread_a_process(storage, image):
    told = storage.buildah("inspect", "--type", "image", "--format", "{{.OCIv1.Config}}", image)
    assert "[contimg]" in told and "OMP_NUM_THREADS=1" in told and "OPENBLAS_NUM_THREADS=1" in told
