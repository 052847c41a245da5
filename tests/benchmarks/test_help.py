"""How long `plastic --help` takes: a third of a second at the most."""

import resource
import subprocess
import sys

COMMAND = (sys.executable, "-c", "import sys; from plastic.cli.main import main; sys.exit(main())", "--help")


def seconds_of_help() -> float:
    """Of the processor, since nobody knows what else the machine is doing."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(COMMAND, capture_output=True, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_help_takes_less_than_a_third_of_a_second() -> None:
    assert min(seconds_of_help() for _ in range(5)) < 1 / 3
