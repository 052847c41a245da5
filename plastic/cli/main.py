"""The command `plastic`: its commands, and what becomes of errors."""

import os
import sys
import traceback
from collections.abc import Sequence

from cyclopts import App, CycloptsError
from cyclopts.exceptions import UnusedCliTokensError

from plastic import __version__
from plastic.cli.bench import bench
from plastic.cli.evaluate import evaluate
from plastic.cli.memory import out_of_memory
from plastic.cli.plugins import plugins
from plastic.cli.resume import resume
from plastic.cli.run import run
from plastic.core.errors import PlasticError, UsageError

app = App(
    name="plastic",
    help="Deep reinforcement learning with any cure for the loss of plasticity, in any combination.",
    version=__version__,
    help_format="plaintext",  # the others load a Markdown or reST renderer, half of the time of `--help`
    result_action="return_value",
    exit_on_error=False,
    print_error=False,
    suppress_keyboard_interrupt=False,
)
app.command(run, sort_key=1)
app.command(resume, sort_key=2)
app.command(evaluate, sort_key=3)
app.command(bench, sort_key=4)
app.command(plugins)

_LONGEST = 400  # characters of an error from outside; some libraries' go on for pages


def main(argv: Sequence[str] | None = None) -> int:
    """Carry out one command.

    Args:
        argv: What follows `plastic`; None is this process' own.

    Returns:
        The exit code: 0, 1 if a run failed, 2 for an error of use, 128 and the signal's number.
    """
    # Before torch comes in: threads that wait by spinning halve the speed of whoever shares the cores.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if sys.stdout is None:  # as Python has it when the file is closed
        return complain("standard output is closed; send it to /dev/null to print nothing", UsageError.exit_code)
    try:
        code: int | None = app(list(sys.argv[1:] if argv is None else argv))
        sys.stdout.flush()  # a pipe that was closed shows here, and not when Python exits
    except CycloptsError as error:
        return complain(_usage(error), UsageError.exit_code)
    except PlasticError as error:
        return complain(str(error), error.exit_code)
    except KeyboardInterrupt:
        return complain("interrupted", 130)
    except BrokenPipeError:
        _print_no_more()
        return 141
    except Exception as error:  # the last resort: what nobody expected is one line as well
        if isinstance(error, OSError) and error.filename is None and not _prints():
            _print_no_more()
            return complain(f"cannot write the output: {error.strerror}", 1)
        if os.environ.get("PLASTIC_DEBUG"):
            traceback.print_exc()
        return complain(out_of_memory(error) or _unexpected(error), 1)
    return code or 0


def _prints() -> bool:
    """Whether the output takes an empty line, and what is still buffered."""
    try:
        print(flush=True)
    except OSError:
        return False
    return True


def _print_no_more() -> None:
    """Have what is still buffered vanish: Python writes it when it exits."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def complain(message: str, code: int) -> int:
    """Say in one line on standard error what was wrong; gives `code` back."""
    print(f"plastic: {' '.join(message.split())}", file=sys.stderr)
    return code


def _usage(error: CycloptsError) -> str:
    if isinstance(error, UnusedCliTokensError) and error.unused_tokens:
        message = f"unexpected argument {error.unused_tokens[0]!r}"
    else:
        message = str(error).rstrip(".")
        message = message[0].lower() + message[1:]
    return f"{message}; see {' '.join(['plastic', *(error.command_chain or ()), '--help'])}"


def _unexpected(error: Exception) -> str:
    notes = getattr(error, "__notes__", [])  # whose it is, where the learner knows
    message = " ".join(": ".join([*notes, type(error).__name__, str(error)]).split())
    if len(message) > _LONGEST:
        message = message[:_LONGEST] + " ..."
    return f"{message} (unexpected; set PLASTIC_DEBUG=1 for the traceback)"
