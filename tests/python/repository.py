"""A repository that python-tuf signs, a server on this machine, and our client as a process."""

import hashlib
import http.server
import json
import os
import subprocess
import tempfile
import threading
import urllib.parse
from datetime import datetime, timedelta, timezone
from pathlib import Path

from securesystemslib.formats import encode_canonical
from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import (
    DelegatedRole, Delegations, Metadata, MetaFile, Role, Root, Snapshot, TargetFile, Targets, Timestamp,
)
from tuf.api.serialization.json import JSONSerializer

LATER = datetime.now(timezone.utc).replace(microsecond=0) + timedelta(days=30)
PAST = datetime(2020, 1, 1, tzinfo=timezone.utc)
TOP = ("root", "timestamp", "snapshot", "targets")


class Server:
    """Serves `files` by path; knows what was asked for."""

    def __init__(self):
        self.files, self.asked, self.status, self.endless = {}, [], {}, set()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = 65536

            def do_GET(self):
                path = urllib.parse.unquote(urllib.parse.urlsplit(self.path).path, errors="strict")
                outer.asked.append(self.path)
                if path in outer.endless:
                    return self.never_end()
                body = outer.files.get(path)
                status = outer.status.get(path, 200 if body is not None else 404)
                body = body if body is not None else b""
                self.send_response(status)
                if status in (301, 302):
                    self.send_header("Location", "/metadata/elsewhere.json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def never_end(self):
                self.send_response(200)
                self.send_header("Connection", "close")
                self.end_headers()
                self.close_connection = True
                try:
                    for _ in range(4096):
                        self.wfile.write(b" " * 65536)
                except OSError:
                    return

            def log_message(self, *_):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.http.handle_error = lambda *_: None  # a client that hangs up is what some cases want
        threading.Thread(target=self.http.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"

    def stop(self):
        self.http.shutdown()
        self.http.server_close()


class Repository:
    """Roles as python-tuf objects; `publish` signs them all and puts them onto the server."""

    def __init__(self, signers=None, consistent=True):
        self.server = Server()
        make = CryptoSigner.generate_ed25519
        self.signers = {role: [make()] for role in TOP}
        self.signers.update(signers or {})
        self.root = Root(expires=LATER, consistent_snapshot=consistent)
        self.timestamp, self.snapshot = Timestamp(expires=LATER), Snapshot(expires=LATER)
        self.targets, self.delegated, self.delegators = Targets(expires=LATER), {}, {}
        self.contents, self.with_hashes, self.indent = {}, True, False
        self.extra_signers = {}
        for role in TOP:
            self.root.roles[role] = Role([], 1)
            for signer in self.signers[role]:
                self.root.add_key(signer.public_key, role)
        self.publish_root()
        self.first_root = self.bytes_of("1.root.json")

    def bytes_of(self, name):
        return self.server.files[f"/metadata/{name}"]

    def put(self, name, data):
        self.server.files[f"/metadata/{name}"] = data

    def sign(self, signed, signers):
        metadata = Metadata(signed)
        for signer in signers:
            metadata.sign(signer, append=True)
        data = metadata.to_bytes(JSONSerializer(compact=not self.indent))
        return data + b"\n" if self.indent else data

    def publish_root(self, signers=None):
        signers = signers or self.signers["root"] + self.extra_signers.get("root", [])
        self.put(f"{self.root.version}.root.json", self.sign(self.root, signers))

    def rotate(self, role, signers, threshold=None):
        """Gives `role` other keys in a new root, which old and new holders sign."""
        old = list(self.signers["root"])
        for keyid in list(self.root.roles[role].keyids):
            self.root.revoke_key(keyid, role)
        for signer in signers:
            self.root.add_key(signer.public_key, role)
        self.root.roles[role].threshold = threshold or 1
        self.signers[role] = signers
        self.root.version += 1
        self.publish_root(list({s.public_key.keyid: s for s in old + self.signers["root"]}.values()))

    def name(self, role, version):
        return f"{version}.{role}.json" if self.root.consistent_snapshot else f"{role}.json"

    def add_target(self, path, content=b"content", role="targets"):
        self.contents[path] = content
        signed = self.targets if role == "targets" else self.delegated[role]
        signed.targets[path] = TargetFile.from_data(path, content, ["sha256"])

    def delegate(self, role, parent="targets", signers=None, **how):
        """Makes a role that `parent` delegates to."""
        signers = signers or [CryptoSigner.generate_ed25519()]
        above = self.targets if parent == "targets" else self.delegated[parent]
        above.delegations = above.delegations or Delegations({}, {})
        how.setdefault("terminating", False)
        if "path_hash_prefixes" not in how:
            how.setdefault("paths", ["*"])
        above.delegations.roles[role] = DelegatedRole(role, [], 1, **how)
        for signer in signers:
            above.add_key(signer.public_key, role)
        self.delegated.setdefault(role, Targets(expires=LATER))
        self.signers[role] = signers
        return signers

    def publish(self, bump=()):
        for role in bump:
            self.of(role).version += 1
        for role in ("targets", *self.delegated):
            signed = self.of(role)
            data = self.sign(signed, self.signers[role])
            self.put(self.name(role, signed.version), data)
            self.snapshot.meta[f"{role}.json"] = self.describe(signed.version, data)
        self.publish_snapshot()
        self.publish_contents()

    def publish_snapshot(self):
        data = self.sign(self.snapshot, self.signers["snapshot"])
        self.put(self.name("snapshot", self.snapshot.version), data)
        self.timestamp.snapshot_meta = self.describe(self.snapshot.version, data)
        self.publish_timestamp()

    def publish_timestamp(self):
        self.put("timestamp.json", self.sign(self.timestamp, self.signers["timestamp"]))

    def publish_contents(self):
        for path, content in self.contents.items():
            folder, slash, name = path.rpartition("/")
            if self.root.consistent_snapshot:
                name = f"{hashlib.sha256(content).hexdigest()}.{name}"
            self.server.files[f"/targets/{folder}{slash}{name}"] = content

    def describe(self, version, data):
        if not self.with_hashes:
            return MetaFile(version)
        return MetaFile(version, len(data), {"sha256": hashlib.sha256(data).hexdigest()})

    def of(self, role):
        return getattr(self, role) if role in TOP else self.delegated[role]

    def edit(self, name, role, change, signers=None):
        """Changes the JSON of a published file and signs it again, python-tuf's checks left aside."""
        file = json.loads(self.bytes_of(name))
        change(file["signed"])
        message = encode_canonical(file["signed"]).encode()
        made = [signer.sign(message) for signer in signers or self.signers[role]]
        file["signatures"] = [{"keyid": one.keyid, "sig": one.signature} for one in made]
        self.put(name, json.dumps(file).encode())


class Client:
    """Our client in a folder of its own."""

    program = None

    def __init__(self, repository, root=None, clock=None):
        self.repository, self.server = repository, repository.server
        self.temporary = tempfile.TemporaryDirectory(prefix="tenure-tuf-")
        self.folder = Path(self.temporary.name)
        self.metadata, self.targets = self.folder / "metadata", self.folder / "targets"
        self.metadata.mkdir()
        self.targets.mkdir()
        (self.folder / "first-root").write_bytes(root or repository.first_root)
        self.clock = clock  # what the C library shall say the time is
        self.init_code = self.run("init", str(self.folder / "first-root"))

    def run(self, *words, stderr=subprocess.PIPE):
        command = ["faketime", str(self.clock)] if self.clock else []
        command += [self.program, "--metadata-dir", str(self.metadata), *words]
        self.server.asked.clear()
        self.ended = subprocess.run(command, stdout=subprocess.PIPE, stderr=stderr, text=True, timeout=120, check=False)
        assert self.ended.returncode in (0, 1), (self.ended.returncode, self.ended.stderr)
        others = [name for name in os.listdir(self.folder) if name not in ("metadata", "targets", "first-root")]
        assert not others, others
        return self.ended.returncode

    def refresh(self):
        return self.run("--metadata-url", f"{self.server.url}/metadata/", "refresh")

    def download(self, *paths):
        names = [word for path in paths for word in ("--target-name", path)]
        where = ["--target-dir", str(self.targets), "--target-base-url", f"{self.server.url}/targets/"]
        return self.run("download", "--metadata-url", f"{self.server.url}/metadata/", *names, *where)

    def asked(self):
        return [path.removeprefix("/metadata/") for path in self.server.asked]

    def held(self):
        names = sorted(name for name in os.listdir(self.metadata) if name.endswith(".json"))
        return {name: (self.metadata / name).read_bytes() for name in names}

    def versions(self):
        return {name.removesuffix(".json"): json.loads(data)["signed"]["version"] for name, data in self.held().items()}

    def works(self):
        assert self.refresh() == 0, self.ended.stderr

    def refuses(self, *words):
        """Refuses, says why, and what it held stays as it was but for the names in `words`."""
        before = self.held()
        assert self.refresh() == 1, f"accepted: {self.asked()}"
        changed = {name for name in {*before, *self.held()} if before.get(name) != self.held().get(name)}
        allowed = {word for word in words if word.endswith(".json")}
        assert changed <= allowed, f"changed {changed}"
        for word in words:
            assert word.endswith(".json") or word in self.ended.stderr, (word, self.ended.stderr)
