"""One run at a time in a folder, over processes that are killed and disks that know no locks."""

import errno
import fcntl
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from plastic.core.errors import UsageError
from plastic.core.runs.folder_lock import FolderLock
from plastic.core.runs.run import Result, Run

ROOT = Path(__file__).parents[2]
RUN = cast(Run, None)  # which the lock does not look at

HOLDING = """
import sys
from pathlib import Path
from plastic.core.runs.folder_lock import FolderLock

lock = FolderLock(Path(sys.argv[1]))
print(flush=True)
sys.stdin.read()
"""


@contextmanager
def another_process(folder: Path) -> Iterator["subprocess.Popen[str]"]:
    """One that holds the lock until it is killed."""
    command = [sys.executable, "-c", HOLDING, str(folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        assert process.stdout is not None
        process.stdout.readline()
        try:
            yield process
        finally:
            process.kill()


def free(folder: Path) -> bool:
    try:
        FolderLock(folder).release()
    except UsageError:
        return False
    return True


def test_another_process_is_named_and_its_death_frees_the_folder(tmp_path: Path) -> None:
    with another_process(tmp_path) as other:
        for _ in range(2):  # asking takes nothing away from it
            with pytest.raises(UsageError) as caught:
                FolderLock(tmp_path)
            assert str(caught.value) == (
                f"process {other.pid} on {socket.gethostname()} is at work in {tmp_path}; "
                "wait for its end, or stop it, and resume then"
            )
        other.send_signal(signal.SIGKILL)
        other.wait()
        assert free(tmp_path)
    assert (tmp_path / ".lock").read_text() == f"process {os.getpid()} on {socket.gethostname()}\n"


def test_a_second_run_of_this_process_is_refused_too(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    with pytest.raises(UsageError) as caught:
        FolderLock(tmp_path)
    assert str(caught.value) == (
        f"a run of this very process is at work in {tmp_path}; train it to its end, or stop it, and resume then"
    )
    del lock  # a run that nobody trained and nobody knows any more
    assert free(tmp_path)


def test_a_holder_that_has_not_signed_yet_is_another_process(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    (tmp_path / ".lock").write_text("")
    with pytest.raises(UsageError, match=r"^another process is at work in "):
        FolderLock(tmp_path)
    lock.release()


def test_it_is_held_while_the_run_trains(tmp_path: Path) -> None:
    lock = FolderLock(tmp_path)
    lock.started(RUN)
    assert not free(tmp_path)
    lock.stopped(RUN)
    assert free(tmp_path)
    lock.started(RUN)  # the same run goes on
    assert not free(tmp_path)
    lock.finished(RUN, Result((), None, None))
    assert free(tmp_path)
    lock.release()


def test_a_file_that_lies_there_means_nothing(tmp_path: Path) -> None:
    (tmp_path / ".lock").write_text("process 1 on another machine, which is not there any more, and has a long name\n")
    FolderLock(tmp_path).release()
    assert (tmp_path / ".lock").read_text() == f"process {os.getpid()} on {socket.gethostname()}\n"


def test_where_nothing_can_be_written_it_says_so(tmp_path: Path) -> None:
    (tmp_path / ".lock").mkdir()
    with pytest.raises(UsageError, match=r"^cannot write .*\.lock \(Is a directory\); copy the folder"):
        FolderLock(tmp_path)


def failing(number: int) -> Any:
    def flock(file: int, operation: int) -> None:
        raise OSError(number, os.strerror(number))

    return flock


@pytest.mark.parametrize("number", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
def test_a_disk_without_locks_is_told_of(tmp_path: Path, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", failing(number))
    with pytest.warns(UserWarning, match=r"\.lock cannot be locked on its disk: resume the run once at a time") as told:
        lock = FolderLock(tmp_path)
    assert [one.filename for one in told] == [__file__]
    lock.release()


def test_a_disk_that_fails_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fcntl, "flock", failing(errno.EIO))
    with pytest.raises(UsageError, match=r"^cannot lock .*\.lock \(Input/output error\); copy the folder"):
        FolderLock(tmp_path)
