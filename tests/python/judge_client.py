"""Judges our client on repositories that python-tuf writes. Usage: judge_client.py TUF_CLIENT [WORD]"""

import json
import os
import sys

from securesystemslib.signer import CryptoSigner, SSlibKey

from cases import case, cases, run
from repository import LATER, PAST, TOP, Client, Repository

FIRST = ["2.root.json", "timestamp.json", "1.snapshot.json", "1.targets.json"]
ED, EC = CryptoSigner.generate_ed25519, CryptoSigner.generate_ecdsa
RSA, ML = CryptoSigner.generate_rsa, CryptoSigner.generate_mldsa


def settled(**how):
    repository = Repository(**how)
    repository.publish()
    client = Client(repository)
    client.works()
    return repository, client


# The protocol.

@case
def a_first_refresh_asks_for_exactly_four_files():
    repository = Repository()
    repository.indent = True
    repository.publish_root()
    repository.first_root = repository.bytes_of("1.root.json")
    repository.publish()
    client = Client(repository)
    assert client.init_code == 0 and client.asked() == [] and list(client.held()) == ["root.json"]
    client.works()
    assert client.asked() == FIRST, client.asked()
    names = {"root": "1.root", "timestamp": "timestamp", "snapshot": "1.snapshot", "targets": "1.targets"}
    assert client.held() == {f"{role}.json": repository.bytes_of(f"{file}.json") for role, file in names.items()}
    client.works()
    assert client.asked() == FIRST[:2], client.asked()


@case
def a_repository_without_consistent_snapshots_is_read():
    repository = Repository(consistent=False)
    repository.add_target("a/file.txt")
    repository.publish()
    client = Client(repository)
    assert client.download("a/file.txt") == 0, client.ended.stderr
    assert client.asked() == ["2.root.json", "timestamp.json", "snapshot.json", "targets.json", "/targets/a/file.txt"]


@case
def targets_are_fetched_in_order_once_and_up_to_the_first_failure():
    repository = Repository()
    for path in ("one", "sub dir/tŵo?#", "...", "z%20z"):
        repository.add_target(path, path.encode())
    repository.publish()
    client = Client(repository)
    assert client.download("one", "sub dir/tŵo?#", "missing", "...") == 1
    files = {file.name: file.read_bytes() for file in client.targets.iterdir()}
    assert files == {"one": b"one", "sub%20dir%2Ft%C5%B5o%3F%23": "sub dir/tŵo?#".encode()}, files
    assert client.download("one", "...", "z%20z") == 0, client.ended.stderr
    assert len([path for path in client.asked() if path.startswith("/targets/")]) == 2, client.asked()
    (client.targets / "one").write_bytes(b"bad")
    assert client.download("one") == 0 and (client.targets / "one").read_bytes() == b"one"


@case
def target_bytes_that_were_not_signed_are_refused():
    for bad in (b"CONTENT", b"content and more", b"", b"conten", None):
        repository = Repository()
        repository.add_target("file")
        repository.publish()
        name = next(name for name in repository.server.files if name.startswith("/targets/"))
        repository.server.files[name] = bad
        client = Client(repository)
        assert client.download("file") == 1 and not list(client.targets.iterdir())


@case
def a_failed_refresh_fetches_no_target():
    repository, client = settled()
    repository.add_target("file")
    repository.timestamp.expires = PAST
    repository.publish(["targets", "snapshot", "timestamp"])
    assert client.download("file") == 1 and not any(path.startswith("/targets") for path in client.asked())


@case
def without_init_or_with_bad_words_it_ends_with_one():
    repository = Repository()
    client = Client(repository)
    (client.metadata / "root.json").unlink()
    for file in client.metadata.iterdir():
        file.unlink()
    assert client.refresh() == 1 and client.asked() == []
    assert client.run("nonsense") == 1 and client.run("refresh") == 1 and client.run() == 1


@case
def nothing_ends_with_another_code_than_one():
    repository = Repository()
    repository.publish()
    client = Client(repository)
    assert client.run("--metadata-url", f"{repository.server.url}/metadata", "refresh") == 0, "without the last /"
    assert client.run("refresh", os.fsdecode(b"\xff")) == 1
    nobody_reads = os.open("/dev/full", os.O_WRONLY)
    assert client.run("nonsense", stderr=nobody_reads) == 1
    os.close(nobody_reads)


@cases(unsigned=b'[]', another=None)
def a_first_root_that_its_own_keys_did_not_sign_is_refused(signatures):
    repository = Repository()
    repository.publish()
    file = json.loads(repository.first_root)
    file["signatures"] = [] if signatures else json.loads(Repository().first_root)["signatures"]
    client = Client(repository, json.dumps(file).encode())
    assert client.refresh() == 1


# Keys.

@cases(ed25519=ED, ecdsa=EC, rsa=RSA, ml_dsa_44=lambda: ML(scheme="ml-dsa-44/1"), ml_dsa_65=lambda: ML(scheme="ml-dsa-65/1"),
       ml_dsa_87=lambda: ML(scheme="ml-dsa-87/1"))
def every_scheme_is_verified_in_every_role(make):
    signers = {role: [make()] for role in TOP}
    repository, client = settled(signers=signers)
    repository.rotate("root", [make()])
    repository.delegate("deep", signers=[make()])
    repository.add_target("file", role="deep")
    repository.publish(["targets", "snapshot", "timestamp"])
    assert client.download("file") == 0, client.ended.stderr


@case
def a_threshold_of_mixed_schemes_is_counted():
    signers = [ED(), EC(), ML(scheme="ml-dsa-65/1"), RSA()]
    repository = Repository(signers={"timestamp": signers})
    repository.root.roles["timestamp"].threshold = 4
    repository.publish_root()
    repository.first_root = repository.bytes_of("1.root.json")
    repository.publish()
    Client(repository).works()
    repository.signers["timestamp"] = signers[:3]
    repository.publish_timestamp()
    Client(repository).refuses("3 of 4")


@case
def keys_of_unknown_kinds_are_kept_and_never_count():
    repository = Repository()
    for number, kind in enumerate(("hash-sig", "ed25519", "ml-dsa")):
        key = SSlibKey(f"{number:064x}", kind, "new-in-2041", {"public": "ab" * 32, "more": {"any": 1}})
        repository.root.add_key(key, "timestamp")
    repository.publish_root()
    repository.first_root = repository.bytes_of("1.root.json")
    repository.publish()
    client = Client(repository)
    client.works()
    repository.root.roles["timestamp"].threshold = 2
    repository.root.version = 2
    repository.publish_root()
    client.refuses("1 of 2", "root.json")


@case
def one_key_under_two_keyids_counts_once():
    repository = Repository()
    public = repository.signers["timestamp"][0].public_key
    twin = SSlibKey("f" * 64, public.keytype, public.scheme, public.keyval)
    repository.root.add_key(twin, "timestamp")
    repository.root.roles["timestamp"].threshold = 2
    repository.publish_root()
    repository.first_root = repository.bytes_of("1.root.json")
    repository.publish()
    file = json.loads(repository.bytes_of("timestamp.json"))
    file["signatures"].append({"keyid": "f" * 64, "sig": file["signatures"][0]["sig"]})
    repository.put("timestamp.json", json.dumps(file).encode())
    Client(repository).refuses("1 of 2")


@case
def a_keyid_twice_among_the_signatures_makes_a_file_invalid():
    repository, client = settled()
    repository.timestamp.version = 2
    repository.publish_timestamp()
    file = json.loads(repository.bytes_of("timestamp.json"))
    file["signatures"] *= 2
    repository.put("timestamp.json", json.dumps(file).encode())
    client.refuses()


@case
def a_keyid_twice_in_a_role_makes_a_root_invalid():
    repository, client = settled()
    repository.root.version = 2
    repository.publish_root()
    repository.edit("2.root.json", "root", lambda root: root["roles"]["timestamp"]["keyids"].extend(
        root["roles"]["timestamp"]["keyids"]))
    client.refuses()


@case
def a_keyid_that_is_not_its_keys_digest_is_tolerated():
    signer = ED()
    signer.public_key.keyid = "named-by-hand"
    settled(signers={"snapshot": [signer]})


@case
def an_empty_signature_of_an_unused_slot_is_no_error():
    repository = Repository()
    file = json.loads(repository.first_root)
    file["signatures"].append({"keyid": "0" * 64, "sig": ""})
    repository.publish()
    Client(repository, json.dumps(file).encode()).works()


@case
def fields_of_other_makers_are_signed_and_kept():
    repository = Repository()
    for role in TOP:
        repository.of(role).unrecognized_fields["x-tuf-on-ci-expiry-period"] = {"ü": [1, None, True, "\n\\\""]}
    for key in repository.root.keys.values():
        key.unrecognized_fields["x-tuf-on-ci-keyowner"] = "@ada"
    repository.publish_root()
    repository.first_root = repository.bytes_of("1.root.json")
    repository.add_target("file")
    repository.targets.targets["file"].unrecognized_fields["x"] = {"custom": [1]}
    repository.publish()
    client = Client(repository)
    assert client.download("file") == 0, client.ended.stderr
    assert client.held()["root.json"] == repository.first_root


@case
def a_repository_in_the_style_of_tuf_on_ci_is_read():
    offline, online = [EC() for _ in range(5)], EC()
    signers = {"root": offline, "targets": offline, "snapshot": [online], "timestamp": [online]}
    online.public_key.keyid = "not-the-digest-of-the-key"
    for nth, signer in enumerate(offline):
        signer.public_key.unrecognized_fields = {"keyid_hash_algorithms": ["sha256"], "x-tuf-on-ci-keyowner": f"@{nth}"}
    online.public_key.unrecognized_fields["x-tuf-on-ci-online-uri"] = "gcpkms:projects/p"
    repository = Repository(signers=signers)
    repository.with_hashes, repository.indent = False, True
    for role in TOP:
        repository.of(role).spec_version = "1.0"
        repository.root.roles[role].threshold = 3 if len(signers[role]) == 5 else 1
        repository.root.roles[role].unrecognized_fields["x-tuf-on-ci-expiry-period"] = 7
    repository.add_target("trusted.json")
    repository.delegate("registry.example", paths=["registry.example/*"], terminating=True)
    repository.add_target("registry.example/a", role="registry.example")
    repository.publish_root()
    repository.publish()
    for name in ("1.root.json", "1.targets.json"):
        file = json.loads(repository.bytes_of(name))
        for slot in file["signatures"][1:3]:
            slot["sig"] = ""
        repository.put(name, json.dumps(file, indent=1).encode())
    repository.first_root = repository.bytes_of("1.root.json")
    client = Client(repository)
    assert client.download("trusted.json", "registry.example/a") == 0, client.ended.stderr
    for slot in (file := json.loads(repository.bytes_of("timestamp.json")))["signatures"]:
        slot["sig"] = ""
    repository.put("timestamp.json", json.dumps(file).encode())
    client.refuses("0 of 1")


# Roots.

@case
def a_hundred_and_fifty_roots_are_followed_in_one_refresh():
    repository, client = settled()
    for _ in range(150):
        repository.root.expires = PAST
        repository.rotate("root", [ED()])
    client.refuses("expired", "root.json")
    assert client.versions()["root"] == 151
    repository.root.expires = LATER
    repository.rotate("root", [ED()])
    client.works()
    assert client.asked()[:2] == ["152.root.json", "153.root.json"] and client.versions()["root"] == 152
    assert client.held()["root.json"] == repository.bytes_of("152.root.json")


@case
def a_root_is_signed_by_old_and_new_thresholds():
    keys = [ED() for _ in range(4)]
    for signers, ok in ((keys[:2], False), (keys[2:], False), (keys, True), ([keys[0], *keys[2:]], False)):
        repository = Repository(signers={"root": keys[:2]})
        repository.root.roles["root"].threshold = 2
        repository.publish_root()
        repository.first_root = repository.bytes_of("1.root.json")
        repository.publish()
        client = Client(repository)
        client.works()
        repository.rotate("root", keys[2:], threshold=2)
        repository.publish_root(signers)
        if ok:
            client.works()
        else:
            client.refuses("signatures")
            assert client.versions()["root"] == 1


@case
def a_threshold_that_falls_and_rises_is_followed():
    keys = [ED() for _ in range(3)]
    repository, client = settled(signers={"root": keys})
    for threshold in (3, 1, 2):
        repository.rotate("root", keys, threshold=threshold)
    client.works()
    assert client.versions()["root"] == 4
    repository.root.version = 5
    repository.publish_root(keys[:1])
    client.refuses("1 of 2")


@cases(same=1, skipped=3, older=0)
def a_root_out_of_step_is_refused(version):
    repository, client = settled()
    repository.root.version = 2
    repository.publish_root()
    repository.edit("2.root.json", "root", lambda root: root.update(version=version))
    client.refuses()


@case
def rotated_online_keys_take_effect_at_once():
    for role in ("timestamp", "snapshot", "targets"):
        repository, client = settled()
        old = repository.signers[role]
        repository.rotate(role, [ED()])
        new, repository.signers[role] = repository.signers[role], old
        repository.publish(["targets", "snapshot", "timestamp"])
        assert client.refresh() == 1, role
        repository.signers[role] = new
        repository.publish(["snapshot", "timestamp"])
        client.works()
        assert client.versions()[role] == (2 if role == "targets" else 3)


@cases(timestamp="timestamp", snapshot="snapshot", targets="targets")
def versions_run_up_by_a_thief_end_with_his_keys(role):
    repository, client = settled()
    repository.of(role).version = 99999
    repository.publish({"targets": ["snapshot", "timestamp"], "snapshot": ["timestamp"]}.get(role, []))
    client.works()
    assert client.versions()[role] == 99999
    repository.of(role).version = 1
    repository.rotate("timestamp" if role == "timestamp" else "snapshot", [ED()])
    if role != "timestamp":
        repository.rotate("timestamp", [ED()])
    repository.publish([other for other in ("snapshot", "timestamp") if other != role])
    client.works()
    assert client.versions()[role] == 1


# Rollback, freeze, mix and match.

@cases(timestamp="timestamp", snapshot="snapshot", targets="targets", deep="deep")
def no_version_falls(role):
    repository = Repository()
    repository.delegate("deep")
    repository.add_target("file", role="deep")
    repository.of(role).version = 2
    repository.publish(["timestamp"] if role != "timestamp" else [])
    client = Client(repository)
    assert client.download("file") == 0, client.ended.stderr
    repository.of(role).version = 1
    repository.publish([other for other in ("snapshot", "timestamp") if other != role])
    if role == "timestamp":
        client.refuses("older")
    elif role == "snapshot":
        client.refuses("older")
    else:
        client.refuses("older", "timestamp.json")


@case
def an_expired_file_still_protects_against_a_rollback():
    repository = Repository()
    repository.timestamp.version = repository.snapshot.version = repository.targets.version = 5
    repository.publish()
    client = Client(repository)
    client.works()
    # Accepted long ago, expired now: signed again with a date in the past, and put in its place.
    repository.timestamp.expires = repository.snapshot.expires = PAST
    repository.publish()
    for role in ("timestamp", "snapshot"):
        name = f"{role}.json" if role == "timestamp" else f"5.{role}.json"
        for file in client.metadata.glob(f"{role}*"):
            file.write_bytes(repository.bytes_of(name))
    repository.timestamp.expires = repository.snapshot.expires = LATER
    repository.timestamp.version, repository.snapshot.version = 4, 5
    repository.publish()
    client.refuses("older")
    repository.timestamp.version, repository.snapshot.version, repository.targets.version = 6, 6, 4
    repository.publish()
    client.refuses("older", "timestamp.json")


@cases(timestamp="timestamp", snapshot="snapshot", targets="targets")
def an_expired_file_is_refused_and_not_kept(role):
    repository = Repository()
    repository.of(role).expires = PAST
    repository.publish()
    client = Client(repository)
    above = {"timestamp": [], "snapshot": ["timestamp.json"], "targets": ["timestamp.json", "snapshot.json"]}[role]
    client.refuses("expired", *above)
    assert list(client.held()) == sorted(["root.json", *above])


@case
def an_expired_root_is_followed_if_the_next_one_is_good():
    repository = Repository()
    repository.root.expires = PAST
    repository.publish_root()
    repository.first_root = repository.bytes_of("1.root.json")
    repository.publish()
    client = Client(repository)
    client.refuses("expired")
    assert client.asked() == ["2.root.json"]
    repository.root.expires, repository.root.version = LATER, 2
    repository.publish_root()
    client.works()


@case
def the_same_timestamp_again_brings_nothing_and_is_no_error():
    repository, client = settled()
    before = client.held()
    repository.publish(["targets", "snapshot"])
    client.works()
    assert client.held() == before and client.asked() == FIRST[:2]


@cases(with_hashes=True, without=False)
def files_of_different_snapshots_do_not_mix(with_hashes):
    for role in ("snapshot", "targets"):
        repository = Repository()
        repository.with_hashes = with_hashes
        repository.publish()
        client = Client(repository)
        client.works()
        old = repository.bytes_of(f"1.{role}.json")
        repository.publish(["targets", "snapshot", "timestamp"])
        repository.put(f"2.{role}.json", old)
        client.refuses("timestamp.json", "snapshot.json" if role == "targets" else "timestamp.json")
        assert client.versions()[role] == 1


@case
def no_listed_file_vanishes():
    repository = Repository()
    repository.delegate("deep")
    repository.publish()
    client = Client(repository)
    client.works()
    del repository.snapshot.meta["deep.json"]
    repository.snapshot.version = repository.timestamp.version = 2
    repository.publish_snapshot()
    client.refuses("timestamp.json")


@case
def a_snapshot_that_lists_no_targets_is_kept_and_the_refresh_fails():
    repository = Repository()
    repository.publish()
    repository.snapshot.meta = {}
    repository.publish_snapshot()
    client = Client(repository)
    client.refuses("timestamp.json", "snapshot.json")
    assert set(client.held()) == {"root.json", "snapshot.json", "timestamp.json"}


# Bytes.

@cases(root="2.root.json", timestamp="timestamp.json", snapshot="2.snapshot.json", targets="2.targets.json")
def endless_and_foreign_bytes_are_refused(name):
    repository, client = settled()
    repository.rotate("root", [ED()])
    repository.publish(["targets", "snapshot", "timestamp"])
    good, allowed = repository.bytes_of(name), ["root.json", "timestamp.json", "snapshot.json"]
    allowed = allowed[: ["2.root.json", "timestamp.json", "2.snapshot.json", "2.targets.json"].index(name)]
    deep = b"[" * 100000
    for bad in (b"", b"null", b"{}", good[:-1], good + b"x", deep, b"\xff" + good, good.replace(b'"_type"', b'"_typo"')):
        repository.put(name, bad)
        client.refuses(*allowed)
    repository.server.endless.add(f"/metadata/{name}")
    client.refuses(*allowed)
    repository.server.endless.clear()
    repository.put(name, good)
    client.works()


@case
def an_oversized_file_is_refused():
    repository, client = settled()
    repository.timestamp.unrecognized_fields["x"] = "x" * 70000
    repository.timestamp.version = 2
    repository.publish_timestamp()
    client.refuses()


@cases(length={"length": 5}, digest={"hashes": {"sha256": "0" * 64}}, sha512={"hashes": {"sha512": "0" * 128}})
def a_file_without_the_length_or_digest_that_was_signed_is_refused(wrong):
    repository = Repository()
    repository.publish()
    repository.edit("timestamp.json", "timestamp", lambda file: file["meta"]["snapshot.json"].update(wrong))
    Client(repository).refuses("timestamp.json")
    repository = Repository()
    repository.publish()
    for key, value in wrong.items():
        setattr(repository.snapshot.meta["targets.json"], key, value)
    repository.publish_snapshot()
    Client(repository).refuses("timestamp.json", "snapshot.json")


@case
def a_digest_of_an_unknown_kind_is_passed_over():
    repository = Repository()
    repository.publish()
    repository.edit("timestamp.json", "timestamp",
                    lambda file: file["meta"]["snapshot.json"]["hashes"].update({"blake9": "ab"}))
    Client(repository).works()


@cases(float={"version": 1.5}, negative={"version": -1}, zero={"version": 0}, type={"_type": "snapshot"},
       spec={"spec_version": "2.0.0"}, date={"expires": "tomorrow"}, meta={"meta": {}}, huge={"version": 2**70})
def a_value_that_the_format_does_not_allow_is_refused(wrong):
    repository, client = settled()

    def change(file):
        file.update(version=2)
        file.update(wrong)
    try:
        repository.edit("timestamp.json", "timestamp", change)
    except Exception:  # python has no canonical form of a float
        return
    client.refuses()


@cases(forbidden=403, gone=404)
def a_root_that_is_not_there_ends_the_chain(status):
    repository, client = settled()
    repository.server.status["/metadata/2.root.json"] = status
    client.works()
    repository.server.status = {"/metadata/timestamp.json": status}
    client.refuses()


@cases(error=500, redirect=302, moved=301, busy=503)
def another_answer_is_an_error(status):
    repository, client = settled()
    repository.put("elsewhere.json", repository.bytes_of("timestamp.json"))
    for name in ("2.root.json", "timestamp.json"):
        repository.server.status = {f"/metadata/{name}": status}
        client.refuses()
        assert "elsewhere.json" not in client.asked()


# The disk.

@cases(emptied=b"", torn=None, foreign=b"{}")
def a_damaged_file_is_mended_and_protects_still(bad):
    for role in TOP:
        repository, client = settled()
        older = repository.bytes_of("timestamp.json")
        repository.publish(["targets", "snapshot", "timestamp"])
        client.works()
        good, file = client.held(), client.metadata / f"{role}.json"
        file.write_bytes(good[file.name][:-9] if bad is None else bad)
        client.works()
        assert client.held() == good, role
        file.write_bytes(good[file.name][:-9] if bad is None else bad)
        repository.put("timestamp.json", older)
        assert client.refresh() == 1 and "older" in client.ended.stderr, role


@case
def files_that_are_missing_are_fetched_again():
    repository, client = settled()
    good = client.held()
    for name in ("targets.json", "snapshot.json", "timestamp.json"):
        (client.metadata / name).unlink()
        client.works()
        assert client.held() == good


if __name__ == "__main__":
    import judge_delegations  # noqa: F401 - registers its cases
    sys.exit(run(*sys.argv[1:3]))
