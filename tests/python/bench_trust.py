"""Prints the figures of the trust core; started by tests/bench/trust, which says what each is."""

import argparse
import json
import re
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path

from securesystemslib.signer import CryptoSigner, Key, Signature

from repository import Repository

HERE = Path(__file__).parent
SAMPLES = HERE.parent.parent / "proto/tests/data/signatures.json"
ROOTS, RUNS = 1100, 15
# By name of their symbols, the first that fits; ring comes with TLS, whatever we verify.
PARTS = {"ml-dsa": "ml_dsa|module_lattice|keccak|sha3|shake|sponge", "ed25519": "ed25519|curve25519",
         "rsa (ring)": "ring.*rsa|rsa.*ring", "ecdsa (ring)": "nistz256|p256|ring.*ecdsa|ring.*suite_b",
         "key files (spki, der)": "4spki|3der|pem_rfc7468|const_oid", "ring, the rest": "ring"}


def program(*words):
    output = subprocess.run(words, capture_output=True, text=True, check=False)
    if output.returncode != 0:
        sys.exit(f"bench: error: {words[0]} failed: {output.stderr}")
    return output.stdout


def verify_rates(options):
    """Verifications a core-second by scheme: ours, and securesystemslib's, which is OpenSSL below."""
    samples = json.loads(SAMPLES.read_text())
    rates = {}
    for sample in samples["signatures"]:
        signature, message = Signature(sample["keyid"], sample["sig"]), samples["message"].encode()
        start, count = time.process_time(), 0
        while time.process_time() - start < 1:
            key = Key.from_dict(sample["keyid"], json.loads(json.dumps(sample["key"])))
            key.verify_signature(signature, message)
            count += 1
        rates[sample["key"]["scheme"]] = count / (time.process_time() - start)
    ours = json.loads(program(options.figures, "verify", str(SAMPLES)))
    return {scheme: {"ours": ours[scheme], "securesystemslib": round(rate), "ratio": ours[scheme] / rate}
            for scheme, rate in rates.items()}


class Clients:
    """Three clients as programs, each with a folder for one device."""

    def __init__(self, options, repository, folder):
        self.options, self.repository, self.folder = options, repository, Path(folder)
        self.root = self.folder / "root.json"
        self.root.write_bytes(repository.first_root)
        self.url = f"{repository.server.url}/metadata/"

    def words(self, name, device, is_first):
        if name == "ours":
            flags = ["--metadata-dir", device, "--metadata-url", self.url, "refresh"]
            return [self.options.client, *flags]
        if name == "tough":
            return [self.options.tough, str(self.root), self.url, self.url, device]
        root = [str(self.root)] if is_first else []
        return [sys.executable, str(HERE / "baseline_client.py"), device, self.url, *root]

    def device(self, name):
        device = tempfile.mkdtemp(prefix=f"{name}-", dir=self.folder)
        if name == "ours":
            program(self.options.client, "--metadata-dir", device, "init", str(self.root))
        return device

    def refresh(self, name, device, is_first):
        """One refresh: seconds of a core, seconds by the wall, and the most memory in KiB."""
        return json.loads(program(self.options.figures, "run", *self.words(name, device, is_first)))


NAMES = ("ours", "python-tuf", "tough")


def refreshes(options):
    """What a first refresh and one that finds nothing cost; the median of some runs, by turns."""
    repository = Repository()
    repository.publish()
    with tempfile.TemporaryDirectory() as folder:
        clients = Clients(options, repository, folder)
        found = {(kind, name): [] for kind in ("first", "idle") for name in NAMES}
        for _ in range(RUNS):
            for name in NAMES:
                device = clients.device(name)
                found["first", name].append(clients.refresh(name, device, True))
                found["idle", name].append(clients.refresh(name, device, False))
    repository.server.stop()
    median = {kind: {name: {what: statistics.median(run[what] for run in found[kind, name])
                            for what in ("cpu_s", "peak_kib")} for name in NAMES} for kind in ("first", "idle")}
    return {kind: with_ratios(rows) for kind, rows in median.items()}


def with_ratios(rows):
    for row in rows.values():
        row["cpu_of_ours"] = row["cpu_s"] / rows["ours"]["cpu_s"]
    return rows


def chain(options):
    """A device that slept through 1,100 roots, each with another root key."""
    repository = Repository()
    for _ in range(ROOTS):
        repository.rotate("root", [CryptoSigner.generate_ed25519()])
    repository.publish()
    with tempfile.TemporaryDirectory() as folder:
        clients = Clients(options, repository, folder)
        rows = {name: clients.refresh(name, clients.device(name), True) for name in NAMES}
    repository.server.stop()
    data = sum(len(body) for name, body in repository.server.files.items() if name.endswith(".root.json"))
    return {"roots": ROOTS, "bytes": data, "clients": with_ratios(rows)}


def sizes(options):
    """Bytes of code and constants by part, out of the symbols of the agent as it ships."""
    parts, seen = dict.fromkeys([*PARTS, "all symbols"], 0), set()
    for line in program("nm", "--print-size", options.agent).splitlines():
        words = line.split()
        # Functions alike were folded into one, which has a symbol for each.
        if len(words) != 4 or words[2] not in "tTrRdDwWvV" or words[0] in seen:
            continue
        seen.add(words[0])
        size = int(words[1], 16)
        parts["all symbols"] += size
        part = next((part for part, names in PARTS.items() if re.search(names, words[3])), None)
        if part:
            parts[part] += size
    return parts


def measure(options):
    packages = {name: version(name) for name in ("tuf", "securesystemslib", "cryptography")}
    figures = {"baselines": {**packages, "tough": options.tough_version}}
    steps = {"verifications_per_s": verify_rates, "refresh": refreshes, "root_chain": chain, "code_bytes": sizes,
             "transfer": lambda options: json.loads(program(options.figures, "bytes", options.client))}
    for name, step in steps.items():
        print(f"bench: {name}", file=sys.stderr, flush=True)
        figures[name] = step(options)
    return figures


def show(figures):
    print("Measured against", ", ".join(f"{name} {number}" for name, number in figures["baselines"].items()))
    print("\nVerifications in a second of a core    ours  securesystemslib  ratio")
    for scheme, row in figures["verifications_per_s"].items():
        print(f"  {scheme:32} {row['ours']:8.0f} {row['securesystemslib']:17.0f} {row['ratio']:6.2f}")
    for kind, title in (("first", "A first refresh"), ("idle", "A refresh that finds nothing")):
        print(f"\n{title:34} core ms  of ours  peak KiB")
        show_clients(figures["refresh"][kind])
    one = figures["root_chain"]
    print(f"\n{one['roots']:,} new roots, {one['bytes']:,} bytes     core ms  of ours  peak KiB   wall s")
    show_clients(one["clients"])
    print("\nCode in the agent, by its symbols         bytes")
    for part, size in figures["code_bytes"].items():
        print(f"  {part:32} {size:12,}")
    print("\nBytes of a device: metadata, targets, and both on the wire with headers")
    print("    models releases served by      |      first refresh      |  nothing new   |    one new release")
    for row in figures["transfer"]:
        cells = [f"{row[kind]['metadata_bytes']:7,}{row[kind]['target_bytes']:7,}{row[kind]['wire_bytes']:8,}"
                 for kind in ("cold_start", "idle_poll", "update")]
        cells[1] = f"{row['idle_poll']['metadata_bytes']:6,}{row['idle_poll']['wire_bytes']:8,}"
        print(f"    {row['models']:6,} {row['releases']:8} {row['served_by']:14} |", " | ".join(cells))


def show_clients(rows):
    for name, row in rows.items():
        wall = f"{row['wall_s']:9.2f}" if "wall_s" in row else ""
        print(f"  {name:32} {row['cpu_s'] * 1000:7.1f} {row['cpu_of_ours']:8.2f} {row['peak_kib']:9,.0f}{wall}")


def main():
    parser = argparse.ArgumentParser()
    for name in ("client", "figures", "tough", "tough-version", "agent"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    figures = measure(options)
    if options.json:
        print(json.dumps(figures, indent=2))
    else:
        show(figures)


if __name__ == "__main__":
    main()
