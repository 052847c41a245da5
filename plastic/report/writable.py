"""Whether a file can be written, asked before the work whose result shall go there."""

from pathlib import Path

from plastic.core.errors import UsageError


def refuse_unwritable(path: Path) -> None:
    """Open it for writing, and leave what is there as it is.

    Raises:
        UsageError: If it cannot be opened.
    """
    try:
        there = path.exists()
        if there and not (path.is_file() or path.is_dir()):
            return  # a pipe or a device, which an opening would change
        path.open("ab").close()
        if not there:
            path.unlink()
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
