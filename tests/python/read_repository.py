"""python-tuf's own client follows a repository of ours to the payload's bytes.

Usage: read_repository.py REPOSITORY_FOLDER FACTORY_ROOT IMAGE
Prints what it found as JSON: the versions of the roles and the paths that it fetched.
"""

import functools
import hashlib
import http.server
import json
import os
import sys
import tempfile
import threading
from pathlib import Path

from tuf.ngclient import Updater


def serve(folder):
    class Handler(http.server.SimpleHTTPRequestHandler):
        wbufsize = 65536

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_address[1]}"


def paths_in(metadata):
    """All target paths that the roles in our folder list: what there is to be found."""
    listed = {}
    for file in sorted(metadata.glob("*.json")):
        signed = json.loads(file.read_bytes())["signed"]
        if signed["_type"] == "targets":
            listed.update(signed["targets"])
    return listed


def main(folder, factory_root, image):
    url = serve(folder)
    with tempfile.TemporaryDirectory() as held, tempfile.TemporaryDirectory() as fetched:
        updater = Updater(held, f"{url}/metadata/", fetched, f"{url}/targets/",
                          bootstrap=Path(factory_root).read_bytes())
        updater.refresh()
        found, bytes_of = [], {}
        for path in paths_in(Path(folder) / "metadata"):
            info = updater.get_targetinfo(path)
            if info is None:
                continue  # listed by an older version only
            bytes_of[path] = Path(updater.download_target(info)).read_bytes()
            found.append(path)
        assert updater.get_targetinfo("no/such/file") is None
        names = [name for name in os.listdir(held) if name.endswith(".json")]
        versions = {name: json.loads((Path(held) / name).read_bytes())["signed"]["version"] for name in names}
    declaration = [path for path in found if path.startswith("support/")]
    assert declaration, f"no declaration among {found}"
    assert "support.json" in versions, f"the role support was not asked: {versions}"
    digest = hashlib.sha256(Path(image).read_bytes()).hexdigest()
    named = [path for path, data in bytes_of.items() if digest.encode() in data]
    assert named, f"no release names the image {digest} among {found}"
    print(json.dumps({"versions": versions, "found": found}))


if __name__ == "__main__":
    main(*sys.argv[1:])
