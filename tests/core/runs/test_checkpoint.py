"""Checkpoint files: whole or not there, and nothing is run that stands in one."""

import errno
import io
import json
import os
import pickle
import re
import signal
import subprocess
import sys
import time
import zipfile
from collections import OrderedDict, defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import zstandard
from torch import nn

from plastic.core.errors import RunError, UsageError
from plastic.core.runs import checkpoint
from tests.core.stubs import exact

STATE: dict[str, Any] = {
    "whole": 3,
    "number": 0.1,
    "flag": True,
    "nothing": None,
    "word": "ünïcode",
    "bytes": b"\x00\xff",
    "nested": {"list": [1, 2.5, "x", [torch.zeros(2)]], "pair": (1, 2), "empty": {}, 7: "seven"},
    "float": torch.randn(5, 3),
    "half": torch.randn(3).half(),
    "long": torch.arange(4),
    "byte": torch.randint(256, (7,), dtype=torch.uint8),
    "mask": torch.tensor([True, False]),
    "scalar": torch.tensor(-1),
    "none of it": torch.zeros(0, 3),
    "model": nn.BatchNorm1d(3).state_dict(),
    "parameter": nn.Parameter(torch.ones(2)),
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "0000000100.ckpt"


def left(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.parent.iterdir())


def test_what_is_written_is_read_bit_for_bit(path: Path) -> None:
    checkpoint.write(path, STATE, {"plastic": "1.0", "agent_steps": 100})
    assert exact(checkpoint.read(path)) == exact(STATE)
    assert checkpoint.about(path) == {"format": checkpoint.FORMAT, "plastic": "1.0", "agent_steps": 100}
    assert left(path) == [path.name]


def test_it_says_what_it_is_in_its_first_lines(path: Path) -> None:
    checkpoint.write(path, STATE, {"plastic": "1.0"})
    with path.open("rb") as file:
        assert file.readline() == b"plastic checkpoint\n"
        assert json.loads(file.readline()) == {"format": 1, "plastic": "1.0"}


def test_it_is_compressed(path: Path) -> None:
    checkpoint.write(path, {"frames": torch.zeros(1_000_000)}, {})
    assert path.stat().st_size < 10_000
    assert torch.equal(checkpoint.read(path)["frames"], torch.zeros(1_000_000))


def test_a_state_larger_than_what_is_kept_in_memory(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checkpoint, "_IN_MEMORY", 1_000)
    state = {"large": torch.randn(10_000)}
    checkpoint.write(path, state, {})
    assert exact(checkpoint.read(path)) == exact(state)


def test_equal_states_make_equal_files(path: Path) -> None:
    checkpoint.write(path, STATE, {})
    first = path.read_bytes()
    checkpoint.write(path, STATE, {})
    assert path.read_bytes() == first


# ------------------------------------------------------------------ damage


def test_cut_off_anywhere_it_is_refused(path: Path) -> None:
    checkpoint.write(path, STATE, {"plastic": "1.0"})
    whole = path.read_bytes()
    magic, header = len(b"plastic checkpoint\n"), whole.index(b"\n", 20) + 1
    cuts = {0, 1, magic - 1, magic, magic + 3, header - 1, header, header + 1, len(whole) - 11, len(whole) - 1}
    for cut in sorted(cuts | set(range(0, len(whole), len(whole) // 40))):
        path.write_bytes(whole[:cut])
        with pytest.raises(UsageError) as caught:
            checkpoint.read(path)
        expected = "is no checkpoint of plastic" if cut < magic else "is damaged" if cut < header - 1 else "is cut off"
        assert expected in str(caught.value), cut
        assert "\n" not in str(caught.value)


def test_damaged_anywhere_it_is_refused_or_the_same(path: Path) -> None:
    checkpoint.write(path, STATE, {"plastic": "1.0"})
    whole = bytearray(path.read_bytes())
    for place in range(0, len(whole), max(1, len(whole) // 150)):
        for flipped in (whole[place] ^ 0xFF, whole[place] ^ 1):
            damaged = bytearray(whole)
            damaged[place] = flipped
            path.write_bytes(damaged)
            try:
                state = checkpoint.read(path)
            except UsageError as error:
                assert str(error).startswith(str(path))  # noqa: PT017
                assert "\n" not in str(error)  # noqa: PT017
            else:
                assert exact(state) == exact(STATE)  # a bit that says nothing


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is no checkpoint of plastic"),
        (b"PK\x03\x04 a zip, as torch.save writes it", "is no checkpoint of plastic"),
        (b"plastic checkpoint\n", "is damaged: its first line cannot be read"),
        (b"plastic checkpoint\nnot json\n\ncomplete\n", "is damaged: its first line cannot be read"),
        (b"plastic checkpoint\n\xff\xfe\n\ncomplete\n", "is damaged: its first line cannot be read"),
        (b"plastic checkpoint\n[1]\n\ncomplete\n", "is damaged: its first line says no format"),
        (b"plastic checkpoint\n{}\n\ncomplete\n", "is damaged: its first line says no format"),
        (b'plastic checkpoint\n{"format": "1"}\n\ncomplete\n', "is damaged: its first line says no format"),
        (b'plastic checkpoint\n{"format": 1}\n', "is cut off; delete it, and `plastic resume` begins the run anew"),
        (b'plastic checkpoint\n{"format": 1}\nnot zstd\ncomplete\n', "is damaged: "),
        (b'plastic checkpoint\n{"format": 1}\n\ncomplete\n', "is damaged: "),
    ],
)
def test_a_foreign_file_is_refused(path: Path, content: bytes, words: str) -> None:
    path.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        checkpoint.read(path)
    assert str(caught.value).startswith(f"{path} {words}")
    assert "\n" not in str(caught.value)
    anew = "delete it, and `plastic resume` begins the run anew from its first step, exactly as it began"
    assert str(caught.value).endswith(f"; {anew}")
    for other in (path.with_name("0000000200.ckpt"), path.with_name(".0000000050.ckpt.partial")):
        other.touch()
    with pytest.raises(UsageError, match=re.escape(anew)):
        checkpoint.read(path)
    path.with_name("0000000050.ckpt").touch()
    with pytest.raises(UsageError, match=r"; delete it to go on from the checkpoint before it$"):
        checkpoint.read(path)


def test_a_file_of_a_later_version_is_refused(path: Path) -> None:
    path.write_bytes(b'plastic checkpoint\n{"format": 2, "plastic": "9.1"}\nwhatever comes then')
    for reading in (checkpoint.read, checkpoint.about):
        with pytest.raises(UsageError, match=r"was written by plastic 9\.1, which is newer; update plastic to read it"):
            reading(path)


def test_what_cannot_be_opened_is_refused(path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot read .*0000000100\.ckpt: No such file or directory"):
        checkpoint.read(path)
    path.mkdir()
    with pytest.raises(UsageError, match=r"cannot read .*: Is a directory"):
        checkpoint.read(path)


def packed(path: Path, payload: bytes) -> None:
    path.write_bytes(
        b'plastic checkpoint\n{"format": 1}\n' + zstandard.ZstdCompressor().compress(payload) + b"\ncomplete\n"
    )


class Bomb:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("legacy", [False, True])
def test_a_pickle_that_would_run_something_is_refused(path: Path, tmp_path: Path, legacy: bool) -> None:
    mark = tmp_path / "ran"
    pickle.loads(pickle.dumps(Bomb(mark)))
    assert mark.exists()  # it is a live one
    mark.unlink()
    file = io.BytesIO()
    torch.save({"agent": Bomb(mark)}, file, _use_new_zipfile_serialization=not legacy)
    packed(path, file.getvalue())
    with pytest.raises(UsageError, match="is damaged: "):
        checkpoint.read(path)
    packed(path, pickle.dumps(Bomb(mark)))
    with pytest.raises(UsageError, match="is damaged: "):
        checkpoint.read(path)
    assert not mark.exists()


def test_a_zip_that_is_not_of_torch_is_refused(path: Path) -> None:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as members:
        members.writestr("archive/data.pkl", b"\x80\x02.")
        members.writestr("archive/version", b"3\n")
    for payload in (b"", b"PK\x05\x06" + bytes(18), b"text", archive.getvalue()):
        packed(path, payload)
        with pytest.raises(UsageError, match="is damaged: "):
            checkpoint.read(path)


def test_a_second_frame_behind_the_first_is_refused(path: Path) -> None:
    checkpoint.write(path, STATE, {})
    whole = path.read_bytes()
    path.write_bytes(whole.removesuffix(b"\ncomplete\n") + zstandard.compress(b"more") + b"\ncomplete\n")
    with pytest.raises(UsageError, match="is damaged: it does not end where it should"):
        checkpoint.read(path)


# ------------------------------------------------------------------ writing


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (np.float64(1.0), "float64"),
        (np.zeros(2), "ndarray"),
        ({1, 2}, "set"),
        (Path("x"), "Path"),
        (defaultdict(int), "defaultdict"),
        (nn.Linear(1, 1), "Linear"),
        (lambda: 0, "function"),
    ],
)
def test_what_could_not_be_read_back_is_refused_before_anything_is_written(path: Path, value: Any, kind: str) -> None:
    checkpoint.write(path, {"old": 1}, {})
    with pytest.raises(RunError) as caught:
        checkpoint.write(path, {"learners": {"fit": [{"count": value}]}}, {})
    message = str(caught.value)
    assert message.startswith("a checkpoint cannot hold the ")
    assert kind in message
    assert "at learners.fit.0.count; keep tensors and plain values in a state" in message
    assert checkpoint.read(path) == {"old": 1}
    assert left(path) == [path.name]


def test_an_ordered_dictionary_is_one_of_the_plain_values(path: Path) -> None:
    state = {"ordered": OrderedDict(a=1)}
    checkpoint.write(path, state, {})
    assert checkpoint.read(path) == state


def full(*arguments: Any) -> Any:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_a_full_disk_leaves_the_old_file_and_nothing_else(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    checkpoint.write(path, {"old": 1}, {})
    for module, name in ((os, "fsync"), (Path, "replace")):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, full)
            with pytest.raises(RunError, match=r"cannot write the checkpoint .*: No space left on device"):
                checkpoint.write(path, STATE, {})
        assert checkpoint.read(path) == {"old": 1}
        assert left(path) == [path.name]


@pytest.mark.parametrize("room", [0, 10, 100, 20_000])
def test_a_disk_that_fills_on_the_way(path: Path, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
    checkpoint.write(path, {"old": 1}, {})
    opened = Path.open

    class Small(io.RawIOBase):
        def __init__(self, file: Any) -> None:
            self.file, self.room = file, room

        def writable(self) -> bool:
            return True

        def write(self, data: Any) -> int:
            self.room -= len(data)
            if self.room < 0:
                full()
            return int(self.file.write(data))

        def fileno(self) -> int:
            return int(self.file.fileno())

        def close(self) -> None:
            self.file.close()
            super().close()

    def small(self: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        file = opened(self, mode, *arguments, **options)
        return Small(file) if "w" in mode else file

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", small)
        with pytest.raises(RunError, match=r"cannot write the checkpoint .*: No space left on device"):
            checkpoint.write(path, STATE | {"more": torch.randn(100_000)}, {})
    assert checkpoint.read(path) == {"old": 1}
    assert left(path) == [path.name]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_device_that_is_really_full(path: Path) -> None:
    partial = path.with_name(f".{path.name}.partial")
    partial.symlink_to("/dev/full")
    with pytest.raises(RunError, match=r"cannot write the checkpoint .*: No space left on device"):
        checkpoint.write(path, STATE, {})
    assert left(path) == []


def test_a_folder_that_is_none_is_an_error_to_read(path: Path) -> None:
    with pytest.raises(RunError, match=r"cannot write the checkpoint .*: No such file or directory"):
        checkpoint.write(path.parent / "missing" / path.name, STATE, {})
    path.write_text("a file")
    with pytest.raises(RunError, match=r"cannot write the checkpoint .*: Not a directory"):
        checkpoint.write(path / "in a file", STATE, {})


WRITER = """
import sys, torch
from pathlib import Path
from plastic.core.runs import checkpoint
path = Path(sys.argv[1])
number = 0
while True:
    number += 1
    checkpoint.write(path, {"number": number, "weights": torch.full((500_000,), float(number))}, {"number": number})
    print(number, flush=True)
"""


def test_a_writer_that_is_killed_leaves_a_whole_file(path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        seen = [int(writer.stdout.readline()) for _ in range(3)]
        time.sleep(0.013)  # somewhere in the next one
        writer.send_signal(signal.SIGKILL)
        seen += [int(line) for line in writer.stdout]
    state = checkpoint.read(path)
    assert seen[-1] <= state["number"] <= seen[-1] + 1
    assert torch.equal(state["weights"], torch.full((500_000,), float(state["number"])))
    assert checkpoint.about(path)["number"] == state["number"]
    assert set(left(path)) <= {path.name, f".{path.name}.partial"}
    checkpoint.write(path, {"old": 1}, {})
    assert left(path) == [path.name]
