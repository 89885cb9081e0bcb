"""python-tuf as a program, to measure ours against.

Usage: baseline_client.py METADATA_DIR METADATA_URL [FIRST_ROOT]
"""

import sys
from pathlib import Path

from tuf.ngclient import Updater, UpdaterConfig


def main(folder, url, root=None):
    bootstrap = Path(root).read_bytes() if root else None
    Updater(folder, url, config=UpdaterConfig(max_root_rotations=2000), bootstrap=bootstrap).refresh()


if __name__ == "__main__":
    main(*sys.argv[1:])
