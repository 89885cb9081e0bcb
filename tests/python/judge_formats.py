"""Others' tools judge what a server gives: CycloneDX's own validator the list of parts, python-tuf the proof.

Usage: judge_formats.py SBOM PROOF TRUSTED_ROOT
Prints the day that the proof proves, by none of our code; ends with an error if anything is wrong.
"""

import json
import sys
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from tuf.api.metadata import Metadata


def judge_sbom(text):
    version = SchemaVersion.from_version(json.loads(text)["specVersion"])
    error = JsonStrictValidator(version).validate_str(text)
    assert error is None, f"the list of parts is not valid CycloneDX {version}: {error}"


def vouch(role, by, file):
    by.signed.verify_delegate(role, file.signed_bytes, file.signatures)
    return file


def prove(proof, trusted):
    """The declaration that the proof proves to a holder of the trusted root."""
    root = Metadata.from_bytes(trusted)
    for text in proof["roots"]:
        later = Metadata.from_bytes(text.encode())
        if later.signed.version == root.signed.version + 1:
            root = vouch("root", vouch("root", root, later), later)
    files = {name: Metadata.from_bytes(text.encode()) for name, text in proof["declared"]["files"].items()}
    vouch("timestamp", root, files["timestamp.json"])
    vouch("snapshot", root, files["snapshot.json"])
    targets = vouch("targets", root, files["targets.json"])
    support = vouch("support", targets, files["support.json"])
    declaration = proof["declared"]["declaration"].encode()
    support.signed.targets["support/declaration.json"].verify_length_and_hashes(declaration)
    return json.loads(declaration)


def main(sbom, proof, trusted):
    judge_sbom(Path(sbom).read_text())
    text, trusted = Path(proof).read_text(), Path(trusted).read_bytes()
    promise = prove(json.loads(text), trusted)
    edited = text.replace(promise["ends"], "2199-12-31")
    assert edited != text
    try:
        prove(json.loads(edited), trusted)
    except Exception:  # python-tuf has no one kind of refusal
        print(promise["ends"])
    else:
        sys.exit("an edited day was proved")


if __name__ == "__main__":
    main(*sys.argv[1:])
