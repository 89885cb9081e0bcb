"""Cases of delegations: who is asked, in which order, and with which keys."""

import hashlib
import json
import urllib.parse

from securesystemslib.signer import CryptoSigner
from tuf.api.metadata import Delegations, SuccinctRoles, Targets

from cases import case, cases
from repository import LATER, PAST, Client, Repository

ED = CryptoSigner.generate_ed25519


def roles_asked(client):
    names = [name.removesuffix(".json") for name in client.asked() if not name.startswith("/targets/")]
    return [name.split(".", 1)[1] for name in names[4:]]


def judge(delegations, path, asked, found):
    """Delegations as (parent, child, paths, terminating); `found` is the role that lists the path."""
    repository = Repository()
    for parent, child, paths, terminating in delegations:
        signers = repository.signers.get(child)
        repository.delegate(child, parent, signers, paths=paths, terminating=terminating)
    if found:
        repository.add_target(path, role=found)
    repository.publish()
    client = Client(repository)
    code = client.download(path)
    assert code == (0 if found else 1), client.ended.stderr
    assert roles_asked(client) == asked, roles_asked(client)
    assert {f"{role}.json" for role in asked} <= set(client.held())


@cases(
    preorder=([("targets", "A", ["*"], False), ("targets", "B", ["*"], False), ("A", "C", ["*"], False)],
              "x", ["A", "C", "B"], "B"),
    not_needed=([("targets", "A", ["*"], False), ("targets", "B", ["*"], False)], "x", ["A"], "A"),
    unmatched=([("targets", "A", ["y"], False), ("targets", "B", ["x"], False)], "x", ["B"], "B"),
    terminating=([("targets", "A", ["*"], True), ("targets", "B", ["*"], False), ("A", "C", ["*"], False)],
                 "x", ["A", "C"], None),
    nested_terminating=([("targets", "A", ["*"], False), ("targets", "B", ["*"], False), ("A", "C", ["*"], True),
                         ("A", "D", ["*"], False)], "x", ["A", "C"], None),
    cycle=([("targets", "A", ["*"], False), ("A", "B", ["*"], False), ("B", "A", ["*"], False),
            ("B", "C", ["*"], False)], "x", ["A", "B", "C"], "C"),
    itself=([("targets", "A", ["*"], False), ("A", "A", ["*"], False)], "x", ["A"], None),
    shared=([("targets", "A", ["*"], False), ("targets", "B", ["*"], False), ("A", "C", ["*"], False),
             ("B", "C", ["*"], False)], "x", ["A", "C", "B"], None),
    slash=([("targets", "A", ["*"], False), ("targets", "B", ["*/*"], False)], "d/x", ["B"], "B"),
    on_the_way=([("targets", "A", ["a/*"], False), ("A", "B", ["*/*", "*"], False)], "b/x", [], None),
    deep=([("targets", "r0", ["*"], False), *((f"r{n}", f"r{n + 1}", ["*"], False) for n in range(20))],
          "x", [f"r{n}" for n in range(21)], "r20"),
)
def the_search_is_in_preorder(parameters):
    judge(*parameters)


@case
def a_chain_without_end_is_given_up():
    repository = Repository()
    parent = "targets"
    for number in range(50):
        repository.delegate(f"r{number}", parent)
        parent = f"r{number}"
    repository.add_target("x", role=parent)
    repository.publish()
    client = Client(repository)
    assert client.download("x") == 1 and len(roles_asked(client)) <= 32


@cases(right=True, wrong=False)
def digests_of_paths_choose_a_role(right):
    repository = Repository()
    digest = hashlib.sha256(b"dir/file").hexdigest()
    repository.delegate("A", path_hash_prefixes=["0000", digest[:2] if right else "zz"])
    repository.add_target("dir/file", role="A")
    repository.publish()
    client = Client(repository)
    assert client.download("dir/file") == (0 if right else 1)
    assert roles_asked(client) == (["A"] if right else [])


@cases(bits_1=1, bits_3=3, bits_8=8, bits_11=11, bits_14=14)
def succinct_roles_are_found(bits):
    repository, signer = Repository(), ED()
    succinct = SuccinctRoles([], 1, bits, "bin")
    repository.targets.delegations = Delegations({}, None, succinct)
    repository.targets.add_key(signer.public_key)
    names = {}
    for path in ("a", "b/c", "d"):
        name = succinct.get_role_for_target(path)
        names[path] = name
        repository.delegated.setdefault(name, Targets(expires=LATER))
        repository.signers[name] = [signer]
        repository.add_target(path, path.encode(), role=name)
    repository.publish()
    client = Client(repository)
    assert client.download(*names) == 0, client.ended.stderr
    assert set(roles_asked(client)) == set(names.values())


@case
def names_of_roles_are_percent_encoded():
    for name in ("a b", "ü", "../x", "a/b", "?", "#", ".", "%41", "two words/…"):
        repository = Repository()
        repository.delegate(name)
        repository.add_target("x", role=name)
        repository.publish()
        # The server decodes what it is asked, so the name itself is what it must have.
        client = Client(repository)
        assert client.download("x") == 0, (name, client.ended.stderr, client.asked())
        assert f"{urllib.parse.quote(name, '')}.json" in client.held(), client.held().keys()
        assert f"1.{urllib.parse.quote(name, '')}.json" in client.asked(), client.asked()


@cases(wrong_key="key", expired="expired", version="version", unlisted="unlisted", digest="digest", missing="missing")
def a_bad_delegated_role_is_refused(how):
    repository = Repository()
    repository.delegate("A")
    repository.add_target("x", role="A")
    if how == "key":
        repository.signers["A"] = [ED()]
    if how == "expired":
        repository.delegated["A"].expires = PAST
    repository.publish()
    if how == "version":
        repository.with_hashes = False
        repository.publish()
        repository.delegated["A"].version = 2
        repository.put("1.A.json", repository.sign(repository.delegated["A"], repository.signers["A"]))
    if how == "unlisted":
        del repository.snapshot.meta["A.json"]
        repository.publish_snapshot()
    if how == "digest":
        repository.put("1.A.json", json.dumps(json.loads(repository.bytes_of("1.A.json")), indent=2).encode())
    if how == "missing":
        del repository.server.files["/metadata/1.A.json"]
    client = Client(repository)
    assert client.download("x") == 1 and "A.json" not in client.held()
    assert set(client.held()) == {"root.json", "timestamp.json", "snapshot.json", "targets.json"}


@case
def a_delegated_role_may_have_a_threshold_and_other_keys():
    repository = Repository()
    signers = [ED(), CryptoSigner.generate_ecdsa(), CryptoSigner.generate_mldsa(scheme="ml-dsa-65/1")]
    repository.delegate("A", signers=signers)
    repository.targets.delegations.roles["A"].threshold = 3
    repository.add_target("x", role="A")
    repository.publish()
    assert Client(repository).download("x") == 0
    repository.signers["A"] = signers[:2]
    repository.publish()
    assert Client(repository).download("x") == 1


@case
def a_role_that_was_rotated_is_fetched_and_checked_anew():
    repository = Repository()
    repository.delegate("A")
    repository.add_target("x", role="A")
    repository.publish()
    client = Client(repository)
    assert client.download("x") == 0
    old = repository.signers["A"][0]
    repository.targets.revoke_key(old.public_key.keyid, "A")
    repository.signers["A"] = [ED()]
    repository.targets.add_key(repository.signers["A"][0].public_key, "A")
    new, repository.signers["A"] = repository.signers["A"], [old]
    repository.publish(["targets", "snapshot", "timestamp"])
    assert client.download("x") == 1
    repository.signers["A"] = new
    repository.publish(["A", "snapshot", "timestamp"])
    assert client.download("x") == 0, client.ended.stderr


@case
def a_role_with_two_delegators_is_checked_with_the_keys_of_each():
    repository = Repository()
    for parent in "AB":
        repository.delegate(parent, paths=[f"{parent}/*"])
    known = repository.delegate("C", "A", paths=["A/*"])
    repository.delegate("C", "B", paths=["B/*"])
    repository.signers["C"] = known
    for path in ("A/x", "B/x"):
        repository.add_target(path, path.encode(), role="C")
    repository.publish()
    client = Client(repository)
    for paths, code in ((("A/x", "B/x"), 1), (("B/x",), 1), (("A/x",), 0)):
        assert client.download(*paths) == code, (paths, client.ended.stderr)
        assert [file.read_bytes() for file in client.targets.iterdir()] == [b"A/x"]


@case
def a_role_that_is_held_is_not_fetched_again():
    repository = Repository()
    repository.delegate("A")
    repository.add_target("x", role="A")
    repository.publish()
    client = Client(repository)
    assert client.download("x") == 0 and client.download("x") == 0
    assert client.asked() == ["2.root.json", "timestamp.json"], client.asked()


@cases(both={"paths": ["*"], "path_hash_prefixes": ["a"]}, neither={}, reserved={"paths": ["*"], "name": "snapshot"})
def delegations_that_make_no_sense_are_refused(fields):
    repository = Repository()
    repository.delegate("A")
    repository.with_hashes = False
    repository.publish()

    def change(file):
        role = file["delegations"]["roles"][0]
        del role["paths"]
        role.update(fields)
    repository.edit("1.targets.json", "targets", change)
    client = Client(repository)
    assert client.refresh() == 1 and "targets.json" not in client.held()
