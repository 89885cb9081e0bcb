"""The cases, as their modules register them."""

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
