"""Checkpoint files: written at once or not at all, compressed, read without running anything."""

import json
import os
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch
import zstandard

from plastic.core.errors import RunError, UsageError

FORMAT = 1
_MAGIC = b"plastic checkpoint\n"
_END = b"\ncomplete\n"
_IN_MEMORY = 64 * 2**20  # bytes; a larger state is unpacked to a temporary file


def write(path: Path, state: Mapping[str, Any], about: Mapping[str, Any]) -> None:
    """Write a checkpoint; a reader sees the old file or the whole new one, whenever this is killed.

    Args:
        path: Where; the folder must exist.
        state: Nested dictionaries and lists of tensors and plain values.
        about: What is worth knowing without reading the state; JSON, in the first line.

    Raises:
        RunError: If it cannot be written; what was there before is untouched.
    """
    partial = path.with_name(f".{path.name}.partial")
    try:
        with partial.open("wb") as file:
            file.write(_MAGIC + json.dumps({"format": FORMAT, **about}).encode() + b"\n")
            compressor = zstandard.ZstdCompressor(level=1, write_checksum=True)
            with compressor.stream_writer(file, closefd=False) as stream:
                torch.save(dict(state), stream)
            file.write(_END)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(path)
        _sync_folder(path.parent)
    except (OSError, RuntimeError, zstandard.ZstdError) as error:  # torch wraps what the stream raises
        partial.unlink(missing_ok=True)
        cause = error if isinstance(error, OSError) else error.__context__ or error
        raise RunError(f"cannot write the checkpoint {path}: {_why(cause)}") from error


def _why(error: BaseException) -> str:
    return (error.strerror or str(error)) if isinstance(error, OSError) else " ".join(str(error).split())


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def about(path: Path) -> dict[str, Any]:
    """The first line of a checkpoint.

    Raises:
        UsageError: If it is no checkpoint, or a later version of plastic wrote it.
    """
    try:
        with path.open("rb") as file:
            if file.read(len(_MAGIC)) != _MAGIC:
                raise UsageError(f"{path} is no checkpoint of plastic")
            header: dict[str, Any] = json.loads(file.readline())
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - len(_END)))
            complete = file.read() == _END
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"{path} is damaged: its first line cannot be read") from error
    if header.get("format", 0) > FORMAT:
        raise UsageError(
            f"{path} was written by plastic {header.get('plastic')}, which is newer; update plastic to read it"
        )
    if not complete:
        raise UsageError(f"{path} is cut off; resume from an older checkpoint")
    return header


def read(path: Path) -> dict[str, Any]:
    """The state in a checkpoint, its tensors on the CPU.

    Only tensors and plain values are read; a file that holds anything else is refused.

    Raises:
        UsageError: If it is no checkpoint, damaged, or of a later version.
    """
    about(path)
    try:
        with path.open("rb") as file, tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as unpacked:
            file.readline()
            file.readline()
            zstandard.ZstdDecompressor().copy_stream(file, unpacked)
            unpacked.seek(0)
            state: dict[str, Any] = torch.load(unpacked, map_location="cpu", weights_only=True)
    except (zstandard.ZstdError, RuntimeError, UnpicklingError, zipfile.BadZipFile, EOFError) as error:
        raise UsageError(f"{path} is damaged: {' '.join(str(error).split())[:200]}") from error
    except OSError as error:
        raise UsageError(f"cannot read {path}: {_why(error)}") from error
    return state
