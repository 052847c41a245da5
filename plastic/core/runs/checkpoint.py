"""Checkpoint files: written at once or not at all, compressed, read without running anything."""

import json
import os
import tempfile
import zipfile
from collections import OrderedDict
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import torch
import zstandard

from plastic.core.errors import RunError, UsageError

FORMAT = 1
_MAGIC = b"plastic checkpoint\n"
_END = b"\ncomplete\n"
_PLAIN = (bool, int, float, str, bytes, type(None))
_IN_MEMORY = 64 * 2**20  # bytes; a larger state is unpacked to a temporary file
_CHUNK = 2**20  # bytes


def write(path: Path, state: Mapping[str, Any], about: Mapping[str, Any]) -> None:
    """Write a checkpoint; a reader sees the old file or the whole new one, whenever this is killed.

    Args:
        path: Where; the folder must exist.
        state: Nested dictionaries and lists of tensors and plain values.
        about: What is worth knowing without reading the state; JSON, in the first line.

    Raises:
        RunError: If it cannot be written or could not be read back; what was there before is untouched.
    """
    _refuse_unreadable(dict(state), "")
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
        with suppress(OSError):
            partial.unlink()
        cause = error if isinstance(error, OSError) else error.__context__ or error
        raise RunError(f"cannot write the checkpoint {path}: {_why(cause)}") from error


def _refuse_unreadable(value: Any, path: str) -> None:
    # torch writes whatever can be pickled, and then refuses to read it: too late for the run
    if type(value) in (dict, OrderedDict):
        for key, item in value.items():
            _refuse_unreadable(item, f"{path}.{key}" if path else str(key))
    elif type(value) in (list, tuple):
        for place, item in enumerate(value):
            _refuse_unreadable(item, f"{path}.{place}")
    elif type(value) not in _PLAIN and not isinstance(value, torch.Tensor):
        raise RunError(
            f"a checkpoint cannot hold the {type(value).__name__} at {path}; keep tensors and plain values in a state"
        )


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
                raise UsageError(f"{path} is no checkpoint of plastic; {_without(path)}")
            header = json.loads(file.readline())
            file.seek(0, os.SEEK_END)
            file.seek(max(0, file.tell() - len(_END)))
            complete = file.read() == _END
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise UsageError(f"{path} is damaged: its first line cannot be read; {_without(path)}") from error
    if not isinstance(header, dict) or not isinstance(header.get("format"), int):
        raise UsageError(f"{path} is damaged: its first line says no format; {_without(path)}")
    if header["format"] > FORMAT:
        raise UsageError(
            f"{path} was written by plastic {header.get('plastic')}, which is newer; update plastic to read it"
        )
    if not complete:
        raise UsageError(f"{path} is cut off; {_without(path)}")
    return header


def _without(path: Path) -> str:
    """What to do with one that cannot be read."""
    if any(other.name < path.name for other in path.parent.glob(f"*{path.suffix}")):
        return "delete it to go on from the checkpoint before it"
    return "delete it, and `plastic resume` begins the run anew from its first step, exactly as it began"


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
            _unpack(file, unpacked)
            state: dict[str, Any] = torch.load(unpacked, map_location="cpu", weights_only=True)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {_why(error)}") from error
    except Exception as error:  # a damaged or foreign pickle raises whatever it runs into
        reason = " ".join(str(error).split())[:200]
        raise UsageError(f"{path} is damaged: {reason}; {_without(path)}") from error
    return state


def _unpack(file: IO[bytes], unpacked: IO[bytes]) -> None:
    frame = zstandard.ZstdDecompressor().decompressobj()
    while not frame.eof and (chunk := file.read(_CHUNK)):
        unpacked.write(frame.decompress(chunk))
    if not frame.eof or frame.unused_data + file.read() != _END:  # its checksum would not have been looked at
        raise ValueError("it does not end where it should")
    unpacked.seek(0)
    if not zipfile.is_zipfile(unpacked):  # torch would try its older formats
        raise ValueError("torch did not write it")
    unpacked.seek(0)
