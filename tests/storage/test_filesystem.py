"""Filesystems by the kernel's table of mounts: which are on other machines, and which mount holds a path."""

import subprocess
from pathlib import Path

import pytest

from contimg.errors import RegistryError
from contimg.storage.filesystem import filesystem_type, is_network, refuse_network

MOUNTS = """\
22 1 254:0 / / rw,relatime - ext4 /dev/vda rw
40 22 0:35 / /home rw - nfs4 server:/home rw
41 40 0:36 / /home/local\\040disk rw - xfs /dev/sdb rw
42 22 0:37 / /scratch rw - lustre mds:/scratch rw
43 22 0:38 / /over rw - ext4 /dev/sdc rw
44 43 0:39 / /over rw - cifs //server/over rw
"""
# Lines of /proc/self/mountinfo as these filesystems write them: type and source stand after the dash.
NETWORK = [
    "ceph 10.0.0.1:6789:/ rw",
    "fuse.ceph ceph-fuse rw",
    "wekafs backend/fs rw",
    "virtiofs shared rw",
    "gpfs fs1 rw",
    "fuse.juicefs JuiceFS:archive rw",
    "9p host rw,trans=virtio",
    "fuse.sshfs user@host:/ rw",
    "fuse.glusterfs host:/volume rw",
    "fuse.rclone remote: rw",
    "fuse.s3fs s3fs rw",
    "fuse.mfs mfs#master:9421 rw",
    "fuse.seaweedfs filer:/ rw",
    "fuse.vmhgfs-fuse vmhgfs-fuse rw",
    "fuse something rw",
    "lustre 10.0.0.1@tcp:/scratch rw,localflock",
    "beegfs beegfs_nodev rw",
    "orangefs tcp://host:3334/orangefs rw",
    "pvfs2 tcp://host:3334/pvfs2-fs rw",
    "panfs panfs://host/ rw",
    "nfs host:/export rw,vers=3",
    "nfs4 host:/export rw,vers=4.2",
    "cifs //host/share rw",
    "smb3 //host/share rw",
    "afs none rw",
    "ocfs2 /dev/sdb rw",
    "gfs2 /dev/sdb rw",
    "vboxsf share rw",
]
LOCAL = [
    "ext4 /dev/sda1 rw",
    "xfs /dev/sda1 rw",
    "btrfs /dev/sda1 rw",
    "zfs tank/data rw",
    "tmpfs tmpfs rw",
    "overlay overlay rw,lowerdir=/a",
    "f2fs /dev/sda1 rw",
    "bcachefs /dev/sda1 rw",
    "fuseblk /dev/sda1 rw",
    "fuse.fuse-overlayfs fuse-overlayfs rw",
]


@pytest.mark.parametrize(
    ("mount", "network"), [(line, True) for line in NETWORK] + [(line, False) for line in LOCAL], ids=lambda v: str(v)
)
def test_each_type_of_filesystem_is_known(mount, network):
    table = f"22 1 254:0 / / rw,relatime shared:1 - {mount}\n"
    kind = mount.split()[0]
    assert filesystem_type(Path("/tmp"), table) == kind
    assert is_network(kind) is network
    if network:
        with pytest.raises(RegistryError, match=rf"network filesystem \({kind}\).*set paths\.state to"):
            refuse_network(Path("/tmp"), table)
    else:
        refuse_network(Path("/tmp"), table)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/lib", "ext4"),
        ("/home/ada/state", "nfs4"),
        ("/home/local disk/state", "xfs"),
        ("/scratch/state", "lustre"),
        ("/scratchy", "ext4"),
        ("/over/x", "cifs"),
    ],
)
def test_the_filesystem_is_the_deepest_and_last_mount(path, kind, monkeypatch):
    monkeypatch.setattr(Path, "exists", lambda self: True)
    assert filesystem_type(Path(path), MOUNTS) == kind
    if kind in ("ext4", "xfs"):
        refuse_network(Path(path), MOUNTS)
    else:
        with pytest.raises(RegistryError, match=rf"network filesystem \({kind}\)"):
            refuse_network(Path(path), MOUNTS)


def test_the_real_table_of_mounts_is_understood():
    expected = subprocess.run(
        ["stat", "-f", "-c", "%T", "/proc"], capture_output=True, text=True, check=True
    ).stdout.strip()
    assert filesystem_type(Path("/proc")) == expected == "proc"
