"""Which file system a path is on, as Linux tells it."""

from __future__ import annotations

import re
from pathlib import PurePosixPath

NETWORK = frozenset(
    {
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "coda",
        "davfs",
        "fuse.blobfuse",
        "fuse.blobfuse2",
        "fuse.ceph",
        "fuse.davfs",
        "fuse.davfs2",
        "fuse.gcsfuse",
        "fuse.glusterfs",
        "fuse.goofys",
        "fuse.mount-s3",
        "fuse.rclone",
        "fuse.s3fs",
        "fuse.sshfs",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "orangefs",
        "smb2",
        "smb3",
        "smbfs",
    }
)
"""Types whose files several machines may have open; WAL shares memory within one."""


def network_type(mountinfo: str, path: PurePosixPath) -> str | None:
    """Return the type of the network file system that *path* (absolute, resolved) is on.

    None if it is on another. *mountinfo* is the text of ``/proc/self/mountinfo``; of mounts on
    one point, the last is on top.
    """
    deepest, found = -1, ""
    for line in mountinfo.splitlines():
        place, _, filesystem = line.partition(" - ")
        fields, kind = place.split(" "), filesystem.split(" ")[0]
        point = PurePosixPath(_unescaped(fields[4] if len(fields) > 4 else ""))
        if path.is_relative_to(point) and len(point.parts) >= deepest:
            deepest, found = len(point.parts), kind
    return found if found in NETWORK else None


def _unescaped(field: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)
