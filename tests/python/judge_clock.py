"""Judges our client under another clock than the machine's. Usage: judge_clock.py TUF_CLIENT

Debian's `faketime` moves the clock by preloading a library into the client.
"""

import sys
from datetime import datetime, timedelta, timezone

from cases import case, cases, run
from repository import TOP, Client, Repository

TODAY = datetime.now(timezone.utc).replace(microsecond=0)
WEEK = timedelta(days=7)


@cases(**{role: role for role in TOP})
def a_file_expires_when_the_clock_says_so(role):
    repository = Repository()
    repository.of(role).expires = TODAY + WEEK
    repository.publish_root()
    repository.first_root = repository.bytes_of("1.root.json")
    repository.publish()
    client = Client(repository)
    for clock, accepted in ((TODAY + WEEK * 2, False), (TODAY, True), (TODAY + WEEK - timedelta(minutes=1), True),
                            (TODAY + WEEK + timedelta(seconds=1), False), (TODAY - WEEK * 99, True)):
        client.clock = clock
        assert (client.refresh() == 0) == accepted, (clock, client.ended.stderr)
        assert accepted or "expired" in client.ended.stderr, client.ended.stderr
    repository.of(role).expires = TODAY + WEEK * 4
    if role == "root":
        repository.root.version += 1
        repository.publish_root()
    else:
        repository.publish({"targets": ["targets", "snapshot", "timestamp"],
                            "snapshot": ["snapshot", "timestamp"]}.get(role, ["timestamp"]))
    client.clock = TODAY + WEEK * 2
    client.works()


@case
def a_delegated_role_that_is_held_expires_too():
    repository = Repository()
    repository.delegate("deep")
    repository.delegated["deep"].expires = TODAY + WEEK
    for path in ("first", "second"):
        repository.add_target(path, path.encode(), role="deep")
    repository.publish()
    client = Client(repository)
    assert client.download("first") == 0, client.ended.stderr
    client.clock = TODAY + WEEK * 2
    assert client.download("second") == 1 and "expired" in client.ended.stderr, client.ended.stderr
    client.works()
    repository.delegated["deep"].expires = TODAY + WEEK * 3
    repository.publish(["deep", "snapshot", "timestamp"])
    assert client.download("second") == 0, client.ended.stderr
    assert {file.read_bytes() for file in client.targets.iterdir()} == {b"first", b"second"}


if __name__ == "__main__":
    sys.exit(run(sys.argv[1]))
