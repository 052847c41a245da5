"""The script that writes the record of a GPU, `python -m tests.benchmarks.gpu`, as far as it goes without one."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve

from plastic.bench import turns
from plastic.bench.play import Play
from plastic.bench.workload import Workload
from plastic.core.errors import UsageError
from plastic.core.recipes.recipe import Chosen, Recipe
from plastic.core.recipes.registry import Registry
from plastic.core.recording.programs import Programs
from tests.benchmarks.gpu import __main__ as record
from tests.benchmarks.gpu import in_time, measured, without_installing
from tests.benchmarks.gpu.page import limits, page


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, dict[str, Any], str]:
    out = tmp_path_factory.mktemp("record")
    words = ["--device", "cpu", "--tiny", "--minutes", "0.5", "--parts", "updates", "--out", str(out)]
    code = record.main([*words, "--commit", "abc123"])
    return code, json.loads((out / "gpu.json").read_text()), (out / "gpu.md").read_text()


def test_a_part_is_measured_and_written_down(tried: tuple[int, dict[str, Any], str]) -> None:
    code, found, _ = tried
    assert code == 0
    assert found["commit"] == "abc123"
    part = found["parts"]["updates"]
    assert part["outcome"] == "done"
    assert set(part["found"]) == {"rounds", "bare eager", "sam eager", "ratios"}
    bare = part["found"]["bare eager"]
    assert bare["operations"] > 100
    assert 0 < bare["ms"]["lower"] <= bare["ms"]["median"]
    assert bare["gpu_mb"] is None
    assert 1 < part["found"]["ratios"]["sam eager / bare eager"]["median"] < 3


def test_its_page_says_what_was_not_measured(tried: tuple[int, dict[str, Any], str]) -> None:
    _, found, text = tried
    assert text == page(found)
    assert text.count("| not measured |") == 6
    assert re.search(r"^\| bare eager \| \d+\.\d{3} \|", text, re.MULTILINE)


def test_a_page_can_be_written_anew(tried: tuple[int, dict[str, Any], str], tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text(json.dumps(tried[1]))
    assert record.main(["--page", str(tmp_path / "old.json"), "--out", str(tmp_path)]) == 0
    assert (tmp_path / "gpu.md").read_text() == tried[2]


def quartiles(value: float) -> dict[str, float]:
    return {"lower": 0.9 * value, "median": value, "upper": 1.1 * value}


FOUND: dict[str, Any] = {
    "updates": {
        "bare captured": {"ms": quartiles(0.61), "kernels_idle": 0.04, "kernels_seconds": 0.00058},
        "sam captured": {"failed": "RuntimeError: out of luck"},
        "ratios": {"bare eager / bare captured": quartiles(4.9), "sam captured / bare captured": quartiles(1.6)},
    },
    "seeds": {
        "1 captured": {"steps_a_second": 300.0, "gpu_mb": 2_000.0},
        "10 captured": {"steps_a_second": 1_200.0, "gpu_mb": None},
    },
    "streams": {"updates_a_second": {"1": 1_600.0, "10": 3_000.0}},
}


def test_limits_are_held_or_not() -> None:
    assert [(value, held) for _, value, _, held in limits(FOUND)] == [
        ("4.90", "**not held**"),
        ("0.610", "held"),
        ("4.0%", "held"),
        ("1.600", "held"),
        ("4.00", "held"),
        ("0.0231", "held"),
    ]
    assert [value for _, value, _, _ in limits({})] == ["not measured"] * 6


def test_a_page_sets_eager_kernels_against_the_clock_of_captured_updates() -> None:
    """What the profiler says of replayed graphs may be wrong."""
    updates = {**FOUND["updates"], "bare eager": {"ms": quartiles(3.0), "kernels_seconds": 0.00061 / 2}}
    part = {"outcome": "done", "why": "", "seconds": 1.0, "found": updates}
    known: dict[str, Any] = {"date": "", "command": "", "commit": "", "machine": {"processor": "Xeon"}}
    assert "over the captured updates' time by the clock: bare 50.0%." in page({**known, "parts": {"updates": part}})
    assert "by the clock:" not in page({**known, "parts": {"updates": {**part, "found": FOUND["updates"]}}})


def test_a_page_names_machine_failures_and_what_is_out_of_time() -> None:
    parts = {name: {"outcome": "done", "why": "", "seconds": 1.0, "found": found} for name, found in FOUND.items()}
    late = {"outcome": "out of time", "why": "what it had found by then counts", "seconds": 9.0, "found": {}}
    text = page(
        {
            "date": "2026-11-21",
            "command": "python -m tests.benchmarks.gpu",
            "commit": "abc123",
            "machine": {"gpu": "NVIDIA H200", "driver": "580.159.04", "processor": "Xeon", "torch": "2.11.0+cu130"},
            "parts": {**parts, "control": {**late, "tail": "slow"}},
        }
    )
    assert text.startswith("# On NVIDIA H200\n\n2026-11-21, gpu NVIDIA H200, driver 580.159.04, processor Xeon")
    assert "| control | 9 | out of time: what it had found by then counts |" in text
    assert "* updates, sam captured: RuntimeError: out of luck" in text
    assert "| 10 captured | 1,200.0 | 0.0231 |  |" in text
    assert "by their number: 1: 1,600, 10: 3,000." in text
    assert "* control:\n\n```\nslow\n```" in text
    assert "## SAC\n\nNot measured.\n" in text
    assert "| bare captured | 0.610 |  |  | 0.580 | 4.0% |  |  |  |  |" in text


@pytest.mark.parametrize(
    ("program", "seconds", "outcome"),
    [("import time; time.sleep(60)", 1.5, "out of time"), ("raise SystemExit('no card')", 20.0, "failed")],
)
def test_a_part_that_hangs_or_fails_does_not_end_the_rest(
    program: str, seconds: float, outcome: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    popen = subprocess.Popen

    def instead(command: Sequence[str], **more: Any) -> Any:
        into = Path(command[command.index("--into") + 1])
        into.write_text('{"early": 1}')
        return popen([command[0], "-c", program], **more)

    monkeypatch.setattr(subprocess, "Popen", instead)
    monkeypatch.setattr(record, "SECONDS", {"updates": seconds, "streams": 0.5})
    words = ["--device", "cpu", "--parts", "updates", "streams", "--out", str(tmp_path), "--commit", "abc123"]
    assert record.main(words) == 1
    parts = json.loads((tmp_path / "gpu.json").read_text())["parts"]
    assert parts["updates"]["outcome"] == outcome
    assert parts["updates"]["found"] == {"early": 1}
    assert parts["updates"]["tail"] == ("no card\n" if outcome == "failed" else "")
    assert (parts["streams"]["outcome"], parts["streams"]["why"]) == ("skipped", "no time was left")


def test_what_fails_within_a_part_is_said_and_the_rest_goes_on(tmp_path: Path) -> None:
    site = measured.Site("cpu", time.time() + 60, tiny=True, mps=False, into=tmp_path / "found.json")
    with site.trying("first"):
        raise RuntimeError("out of\nmemory")
    site.say("second", 2)
    written = json.loads((tmp_path / "found.json").read_text())
    assert written == {"first": {"failed": "RuntimeError: out of memory"}, "second": 2}


def test_eager_and_captured_updates_are_set_against_each_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = Workload.of

    def of(recipe: Recipe, registry: Registry, play: Play) -> Workload:
        settings = dict(recipe.settings)
        captured = settings.pop("capture", False)
        if captured and recipe.plugins:
            raise UsageError("sam cannot be captured here")
        workload = made(evolve(recipe, settings=settings), registry, play)
        if captured:
            workload.assembly.agent.be_recorded(Programs())
        return workload

    monkeypatch.setattr(Workload, "of", of)
    monkeypatch.setattr(measured.Site, "modes", ("eager", "captured"))
    site = measured.Site("cpu", time.time() + 60, tiny=True, mps=False, into=tmp_path / "found.json")
    measured.updates(site)
    assert set(site.found["ratios"]) == {"bare eager / bare captured", "sam eager / bare eager"}
    assert site.found["sam captured"] == {"failed": "UsageError: sam cannot be captured here"}
    assert site.found["bare captured"]["acting_ms"]["median"] > 0
    assert json.loads((tmp_path / "found.json").read_text()) == site.found


def test_all_is_recorded_before_the_first_round_and_what_fails_there_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agents: list[Any] = []
    made = Workload.of

    def of(recipe: Recipe, registry: Registry, play: Play) -> Workload:
        settings = {name: value for name, value in recipe.settings.items() if name != "capture"}
        workload = made(evolve(recipe, settings=settings), registry, play)
        if "capture" in recipe.settings:
            workload.assembly.agent.be_recorded(Programs())
            agents.append(workload.assembly.agent)
            if recipe.plugins:
                monkeypatch.setattr(type(workload), "act", act, raising=True)
        return workload

    def act(self: Workload, observation: Any) -> None:
        if self.assembly.agent is agents[-1]:
            raise RuntimeError("no action")
        self.assembly.agent.act(observation)

    def take_turns(timed: Sequence[Any], seconds: float) -> int:
        kinds = [kind for kind, _ in agents[0].capture._recorded]
        assert "act" in kinds
        assert len(kinds) == 2
        return turns.take_turns(timed, seconds)

    monkeypatch.setattr(Workload, "of", of)
    monkeypatch.setattr(measured, "take_turns", take_turns)
    site = measured.Site("cuda", time.time() + 20, tiny=True, mps=False, into=tmp_path / "found.json")
    bare = Recipe(env="CartPole-v1", settings=measured.TINY)
    measured.compare(site, {"bare": bare, "sam": evolve(bare, plugins=(Chosen("sam"),))})
    assert site.found["sam captured"] == {"failed": "RuntimeError: no action"}
    assert set(site.found["ratios"]) == {"bare eager / bare captured"}


def test_runs_are_watched_once_they_make_updates(tmp_path: Path) -> None:
    head = "agent_steps,updates,seconds\n"
    assert not measured.learning(tmp_path)
    for rows, ready in ((head, False), ("100,0,1.0\n200,10,2.0\n", False), ("300,110,3.0\n", True)):
        with (tmp_path / "timing.csv").open("a") as file:
            file.write(rows)
        assert measured.learning(tmp_path) is ready


@pytest.mark.slow
def test_runs_are_begun_watched_and_ended(tmp_path: Path) -> None:
    site = measured.Site("cpu", time.time() + 60, tiny=True, mps=False, into=tmp_path / "found.json")
    trained = measured.side_by_side(site, 2, 40.0, captured=False, environment={})
    assert trained.runs == 2
    assert trained.steps_a_second > 0
    assert trained.gpu_mb is None


def test_the_package_is_found_where_nothing_can_be_installed(tmp_path: Path) -> None:
    (found,) = distributions(path=[str(without_installing.write(tmp_path))])
    assert found.name == "plastic-rl"
    known = Registry().load(point for point in found.entry_points if point.group == "plastic")
    assert {"rainbow", "sac"} <= set(known.all("agent"))
    assert known.all("plugin")["sam"].package == "plastic-rl"


def test_the_tests_for_a_gpu_are_counted(tmp_path: Path) -> None:
    (tmp_path / "tests.xml").write_text(
        '<testsuites><testsuite tests="4" failures="1" errors="0" skipped="1">'
        '<testcase classname="tests.test_capture" name="test_resume"><failure message="not equal"/></testcase>'
        '<testcase classname="tests.test_capture" name="test_reset"/></testsuite></testsuites>'
    )
    found = record._tested(tmp_path / "tests.xml", "")
    assert found["tests.test_capture.test_resume"] == {"failed": "not equal"}
    assert record._outcome_of_tests(found) == "2 passed, 1 skipped"


def test_of_tests_that_were_ended_counts_what_they_had_printed(tmp_path: Path) -> None:
    lines = (
        "test_cuda.py::test_a PASSED [  5%]\ntest_cuda.py::test_b PASSED [ 10%]\ntest_cuda.py::test_c FAILED [ 15%]\n"
        "because: test_cuda.py::test_c: AssertionError: assert 1 == 2\n"
    )
    assert record._tested(tmp_path / "none.xml", lines) == {
        **{"PASSED": 2, "FAILED": 1, "ERROR": 0, "SKIPPED": 0},
        "test_cuda.py::test_c": {"failed": "AssertionError: assert 1 == 2"},
    }


def test_no_test_begins_after_its_time_and_a_failure_is_said_at_once(tmp_path: Path) -> None:
    (tmp_path / "test_late.py").write_text(
        "import os, time\n"
        "def test_a():\n    assert 1 == 2, 'no luck'\n"
        f"def test_b():\n    os.environ['{in_time.UNTIL}'] = str(time.time() - 1)\n"
        "def test_c():\n    assert False\n"
    )
    command = [*(sys.executable, "-m", "pytest", "-p", in_time.__name__), "-p", "no:cacheprovider", "-v", str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(record.ROOT), in_time.UNTIL: str(time.time() + 60)}
    printed = subprocess.run(
        command, env=environment, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False
    ).stdout
    found = record._tested(tmp_path / "none.xml", printed)
    assert (found["PASSED"], found["FAILED"]) == (1, 1)
    (why,) = (one["failed"] for one in found.values() if isinstance(one, dict))
    assert why.startswith("AssertionError: no luck")
    assert "1 failed, 1 passed, 1 skipped" in printed
