"""The cases, as their modules register them, and how they are run."""

import traceback

from repository import Client

CASES = []


def case(function):
    """Registers a case."""
    CASES.append((function.__name__, function))
    return function


def cases(**parameters):
    """Registers a case once for each parameter."""
    def register(function):
        for name, value in parameters.items():
            CASES.append((f"{function.__name__}[{name}]", lambda value=value: function(value)))
        return function
    return register


def run(program, word=""):
    """Runs the cases whose names contain `word`; 1 if one failed."""
    Client.program = program
    failed = 0
    chosen = [(name, function) for name, function in CASES if word in name]
    for name, function in chosen:
        try:
            function()
        except Exception:  # every failure is told, and the next case runs
            failed += 1
            print(f"FAILED {name}\n{traceback.format_exc()}", flush=True)
    print(f"{len(chosen) - failed} of {len(chosen)} cases passed")
    return 1 if failed or not chosen else 0
