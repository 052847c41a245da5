"""One run at a time in a folder: two that wrote into one would spoil it."""

import errno
import fcntl
import os
import socket
import warnings
import weakref
from pathlib import Path
from typing import TYPE_CHECKING

from plastic.core.errors import UsageError
from plastic.core.runs.listener import Listener

if TYPE_CHECKING:
    from plastic.core.runs.run import Result, Run

# some file systems of clusters know no locks (Lustre mounted without flock, NFS without its lock service)
_NO_LOCKS = frozenset({errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP})


class FolderLock(Listener):
    """Held from where it is made to where the training ends or is stopped, and whenever it goes on.

    It is a lock of flock(2) on the file `.lock`, so the kernel gives it back when the process dies, however that comes
    about. The file says who holds it, and stays behind: its being there means nothing. Whoever only reads the folder
    does without.
    """

    def __init__(self, folder: Path) -> None:
        """Take it.

        Args:
            folder: The run's.

        Raises:
            UsageError: If a run holds it already, here or in another process, or nothing can be written there.
        """
        self.folder = folder
        self._give_back = self._take()

    def release(self) -> None:
        """Give it back; once is enough."""
        self._give_back()

    def started(self, run: "Run") -> None:
        """Take it again, where an earlier part of the training gave it back."""
        if not self._give_back.alive:
            self._give_back = self._take()

    def finished(self, run: "Run", result: "Result") -> None:
        """Nothing is written any more."""
        self.release()

    def stopped(self, run: "Run") -> None:
        """Nothing is written any more."""
        self.release()

    def _take(self) -> "weakref.finalize[[int], FolderLock]":
        path = self.folder / ".lock"
        try:
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)  # to be written, which locks through NFS ask for
        except OSError as error:
            raise UsageError(f"cannot write {path} ({error.strerror}); copy the folder elsewhere") from error
        give_back = weakref.finalize(self, os.close, file)  # as well for a run that nobody ever trained
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(file, 200, 0).decode(errors="replace").strip()
            give_back()
            raise UsageError(_in_use(self.folder, holder)) from None
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                give_back()
                raise UsageError(f"cannot lock {path} ({error.strerror}); copy the folder elsewhere") from error
            warnings.warn(f"{path} cannot be locked on its disk: resume the run once at a time", stacklevel=3)
            return give_back
        os.ftruncate(file, 0)
        os.pwrite(file, f"{_this_process()}\n".encode(), 0)
        return give_back


def _this_process() -> str:
    return f"process {os.getpid()} on {socket.gethostname()}"


def _in_use(folder: Path, holder: str) -> str:
    if holder == _this_process():
        return f"a run of this very process is at work in {folder}; train it to its end, or stop it, and resume then"
    return f"{holder or 'another process'} is at work in {folder}; wait for its end, or stop it, and resume then"
