"""`plastic run --seeds`: each seed's folder is what a run by itself would have written."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from plastic.cli.seeds import parse_seeds
from plastic.core.errors import UsageError
from plastic.core.streams import derive

if TYPE_CHECKING:
    from tests.cli.conftest import Plastic


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("0-3", (0, 1, 2, 3)), ("7", (7,)), ("0,3,7", (0, 3, 7)), ("0-1, 5-6", (0, 1, 5, 6)), ("4-4", (4,))],
)
def test_seeds_are_numbers_and_ranges(text: str, seeds: tuple[int, ...]) -> None:
    assert parse_seeds(text) == seeds


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "seeds are written as"),
        ("0-", "seeds are written as"),
        ("-3", "seeds are written as"),
        ("a", "seeds are written as"),
        ("0-3-5", "seeds are written as"),
        ("3-1", "names no seed"),
        ("0-3,2", "names a seed twice"),
        ("0-5000", "more than 1,000 seeds"),
        ("0-9999999999999999999999", "more than 1,000 seeds"),
        ("0-999,1000", "more than 1,000 seeds"),
    ],
)
def test_what_is_none_is_refused(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_seeds(text)


def test_each_folder_is_what_a_single_run_writes(plastic: "Plastic") -> None:
    done = plastic.run("--seeds", "0,3", "--out", "several", "--plugin", "reset:when=20")
    assert (done.code, done.err) == (0, "")
    lines = done.out.splitlines()
    (told,) = (line for line in lines if line.startswith("seeds"))
    assert told.startswith("seeds        0,3: 2 runs, ")  # 1 or 2 at a time, by the cores there are
    assert lines.count("folder       several") == 1, "the plan is there once"
    assert next(place for place, line in enumerate(lines) if line.startswith("seed ")) > lines.index(told)
    assert plastic.run("--seed", "3", "--out", "single", "--plugin", "reset:when=20", "--quiet").code == 0
    several, single = plastic.folder / "several" / "s3", plastic.folder / "single"
    assert {path.name for path in several.iterdir()} == {path.name for path in single.iterdir()}
    for name in ("recipe.toml", "metrics.jsonl", "result.json", "run.json"):
        assert (several / name).read_bytes() == (single / name).read_bytes(), name
    assert {path.name for path in (plastic.folder / "several").iterdir()} == {"s0", "s3"}
    assert [line.split()[0] for line in done.out.splitlines()[-4:]] == ["seed", "0", "3", "mean"]
    assert any(line.startswith("seed 3: score ") for line in done.out.splitlines())


@pytest.mark.cuda
def test_so_it_is_of_seeds_that_share_a_gpu(plastic: "Plastic") -> None:
    words = ("--device", "cuda", "--set", "capture=true", "--plugin", "reset:when=20")
    assert plastic.run("--seeds", "0-3", "--out", "several", *words).code == 0
    assert plastic.run("--seed", "3", "--out", "single", *words, "--quiet").code == 0
    several, single = plastic.folder / "several" / "s3", plastic.folder / "single"
    for name in ("recipe.toml", "metrics.jsonl", "result.json", "run.json"):
        assert (several / name).read_bytes() == (single / name).read_bytes(), name


def test_a_seed_that_fails_is_named_and_the_others_are_not_lost(plastic: "Plastic") -> None:
    (plastic.folder / "mine.py").write_text(
        "from attrs import frozen\n"
        "from plastic.core.errors import RunError\n"
        "from plastic.core.intervention import PlasticityIntervention\n"
        "from plastic.core.schedule import Every, Schedule\n"
        "@frozen(eq=False)\n"
        "class Unlucky(PlasticityIntervention):\n"
        "    '''Fails in one of the seeds.'''\n"
        "    name = 'unlucky'\n"
        "    when: Schedule = Every(1)\n"
        "    def edits(self, subject):\n"
        "        if subject.generator.initial_seed() % 1_000 == SEED:\n"
        "            raise RunError('out of luck')\n"
        "        return ()\n"
    )
    unlucky = derive(4, "rainbow", "unlucky", 5, "draw") % 1_000  # the fifth update of seed 4
    text = (plastic.folder / "mine.py").read_text()
    (plastic.folder / "mine.py").write_text(f"SEED = {unlucky}\n{text}")
    done = plastic.run("--seeds", "3-4", "--out", "several", "--plugin", "mine:Unlucky")
    assert done.code == 1
    assert done.err == "plastic: seed 4: out of luck\n"
    assert "out of luck" not in done.out, "it is said once"
    assert "seed 4: failed" in done.out.splitlines()
    assert (plastic.folder / "several" / "s3" / "result.json").exists()
    assert not (plastic.folder / "several" / "s4" / "result.json").exists()


def test_what_does_not_fit_is_refused_before_anything_begins(plastic: "Plastic") -> None:
    assert "not both" in plastic.run("--seeds", "0-1", "--seed", "3").error
    assert "--together is for --seeds" in plastic.run("--together", "2").error
    assert "at least 1" in plastic.run("--seeds", "0-1", "--together", "0").error
    assert "no plugin" in plastic.run("--seeds", "0-1", "--plugin", "nobody").error
    assert not list(plastic.folder.iterdir())


def endless(plastic: "Plastic", *arguments: str) -> "subprocess.Popen[str]":
    """Runs that have all begun to learn and do not end by themselves, two at a time."""
    command = [sys.executable, "-c", "import sys; from plastic.cli.main import main; sys.exit(main())"]
    longer = ["1000000" if word == "150" else word for word in plastic.small]
    command += ["run", *longer, "--together", "2", "--out", "several", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    learning = [plastic.folder / "several" / seed / "metrics.jsonl" for seed in ("s0", "s1")]
    deadline = time.monotonic() + 120
    while not all(path.exists() for path in learning) and time.monotonic() < deadline:
        time.sleep(0.1)
    return process


def test_ctrl_c_stops_every_run_with_a_checkpoint(plastic: "Plastic") -> None:
    with endless(plastic, "--seeds", "0-2") as process:
        os.kill(process.pid, signal.SIGINT)
        out, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    for seed in ("0", "1"):
        assert list((Path("several") / f"s{seed}" / "checkpoints").glob("*.ckpt"))
        assert f"plastic: seed {seed}: stopped after" in errors
        assert f"plastic resume several/s{seed}" in errors
    assert not (Path("several") / "s2").exists()
    begin = "plastic run --config several/seeds.toml --seed 2 --out several/s2"
    assert errors.splitlines()[-1] == f"plastic: seed 2 has not begun; begin it with: {begin}"
    assert [line.split() for line in out.splitlines() if line.endswith("not begun")] == [["2", "not", "begun"]]
    assert plastic(*begin.split()[1:], "--steps", "150", "--quiet").code == 0, "as it was said"
    assert plastic.run("--seed", "2", "--out", "single", "--quiet").code == 0
    for name in ("recipe.toml", "metrics.jsonl", "result.json", "run.json"):
        assert Path("several/s2", name).read_bytes() == Path("single", name).read_bytes(), name


def test_a_run_that_is_killed_is_named_with_its_signal(plastic: "Plastic") -> None:
    with endless(plastic, "--seeds", "0-1", "--quiet") as process:
        holder = Path("several/s0/.lock").read_text().split()[1]
        os.kill(int(holder), signal.SIGKILL)
        time.sleep(0.5)
        os.kill(process.pid, signal.SIGINT)
        _, errors = process.communicate(timeout=120)
    first, second = errors.splitlines()
    assert first == "plastic: seed 0 was killed (signal 9); go on with: plastic resume several/s0"
    assert second.startswith("plastic: seed 1: stopped after")
