"""The errors a user reads."""

from plastic.core.errors import PlasticError, RunError, UsageError, suggestion


def test_errors_of_use_end_with_2_and_failures_with_1() -> None:
    assert (UsageError("").exit_code, RunError("").exit_code) == (2, 1)
    assert issubclass(UsageError, PlasticError)
    assert issubclass(RunError, PlasticError)


def test_the_nearest_name_or_all_of_them() -> None:
    assert suggestion("rest", iter(["swa", "reset", "sam"])) == "did you mean 'reset'?"
    assert suggestion("SAM", ["swa", "reset", "sam"]) == "did you mean 'sam'?"
    assert suggestion("cartpol-v1", ["CartPole-v1", "Other-v1"]) == "did you mean 'CartPole-v1'?"
    assert suggestion("Sam", ["Sim", "sam"]) == "did you mean 'sam'?"
    assert suggestion("xyz", ["swa", "reset"]) == "known: reset, swa"
    assert suggestion("xyz", []) == "known: none"
