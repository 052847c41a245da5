"""The record of a GPU in at most ten minutes: `python -m tests.benchmarks.gpu`.

    python -m tests.benchmarks.gpu                 on the GPU, every part
    python -m tests.benchmarks.gpu --device cpu    what can be tried without one
    python -m tests.benchmarks.gpu --page gpu.json the page alone, from what an earlier call found

It needs what the package needs, and pytest; nothing has to be installed and nothing is downloaded. Every part has
seconds of its own and runs in a process of its own: one that fails or is out of time is written down as such, and the
others go on. What was found lies in gpu.json after every part, and as a page in gpu.md, to be kept as
docs/records/DATE-gpu.md.
"""

import argparse
import json
import os
import platform
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from xml.etree import ElementTree

from tests.benchmarks.gpu import in_time, without_installing
from tests.benchmarks.gpu.page import page

ROOT = without_installing.ROOT
MINUTES = 9.6
SECONDS: Mapping[str, float] = {  # of each part, most wanted first
    "tests": 150,
    "updates": 110,
    "seeds": 180,
    "bench": 45,
    "control": 70,
    "streams": 45,
}
_BEGINNING = 0.85  # of the seconds for tests; later none begins, so that pytest comes to its report
_TAIL = 2_000  # characters of what a part printed, where it failed
_PYTEST = """\
[pytest]
addopts = --import-mode=importlib -p no:cacheprovider
pythonpath = {root}
markers =
    slow: takes more than ten seconds
    cuda: runs where there is a GPU with CUDA
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, and write both files; 1 if a part did not come to its end."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.gpu", description="Write the record of a GPU.")
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="in all; each part has its share of them")
    parser.add_argument("--parts", nargs="+", choices=SECONDS, default=list(SECONDS))
    parser.add_argument("--out", type=Path, default=Path(), help="a folder for gpu.json and gpu.md")
    parser.add_argument("--commit", help="of the code; asked of git if left out")
    parser.add_argument("--mps", action="store_true", help="ten seeds under the Multi-Process Service instead of eager")
    parser.add_argument("--tiny", action="store_true", help="small networks, to try this script")
    parser.add_argument("--page", type=Path, help="measure nothing: write the page of this gpu.json")
    arguments = parser.parse_args(argv)
    arguments.out.mkdir(parents=True, exist_ok=True)
    if arguments.page is not None:
        (arguments.out / "gpu.md").write_text(page(json.loads(arguments.page.read_text("utf-8"))), encoding="utf-8")
        return 0
    end = time.monotonic() + 60 * arguments.minutes
    share = 60 * arguments.minutes / sum(SECONDS[part] for part in arguments.parts)
    record: dict[str, Any] = {
        "date": str(date.today()),
        "command": shlex.join(["python", "-m", "tests.benchmarks.gpu", *(sys.argv[1:] if argv is None else argv)]),
        "commit": arguments.commit or _commit(),
        "machine": _machine(arguments.device),
        "parts": {},
    }
    with TemporaryDirectory() as scratch:
        environment = _environment(Path(scratch))
        for part in arguments.parts:
            seconds = min(SECONDS[part] * min(1.0, share), end - time.monotonic())
            print(f"{part}: {max(0.0, seconds):.0f} s at most", flush=True)
            record["parts"][part] = _part(part, seconds, arguments, Path(scratch), environment)
            (arguments.out / "gpu.json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
            (arguments.out / "gpu.md").write_text(page(record), encoding="utf-8")
    print((arguments.out / "gpu.md").read_text(encoding="utf-8"))
    return 0 if all(one["outcome"] == "done" for one in record["parts"].values()) else 1


def _part(
    part: str, seconds: float, arguments: argparse.Namespace, scratch: Path, environment: Mapping[str, str]
) -> dict[str, Any]:
    if seconds < 1:
        return {"outcome": "skipped", "why": "no time was left", "seconds": 0.0, "found": {}}
    into = scratch / f"{part}.json"
    if part == "tests":
        command = _tests(scratch)
        environment = {**environment, in_time.UNTIL: str(time.time() + _BEGINNING * seconds)}
    else:
        command = [sys.executable, "-m", "tests.benchmarks.gpu.measured", part, "--device", arguments.device]
        command += ["--until", str(time.time() + 0.95 * seconds), "--into", str(into)]
        command += [f"--{flag}" for flag in ("tiny", "mps") if getattr(arguments, flag)]
    began = time.monotonic()
    with (scratch / f"{part}.log").open("w+", encoding="utf-8", errors="replace") as log:
        # in a session of its own, so that the runs it began end with it
        process = subprocess.Popen(
            command, cwd=ROOT, env=dict(environment), stdout=log, stderr=log, start_new_session=True
        )
        try:
            code: int | None = process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            _end(process)
        log.seek(0)
        printed = log.read()
    if part == "tests":
        found = _tested(scratch / "tests.xml", printed)
    else:
        found = json.loads(into.read_text(encoding="utf-8")) if into.exists() else {}
    one: dict[str, Any] = {"seconds": time.monotonic() - began, "found": found}
    if code is None:
        return {"outcome": "out of time", "why": "what it had found by then counts", **one, "tail": printed[-_TAIL:]}
    if code not in ((0, 5) if part == "tests" else (0,)):  # 5: there were none
        return {"outcome": "failed", "why": f"it ended with {code}", **one, "tail": printed[-_TAIL:]}
    return {"outcome": "done", "why": _outcome_of_tests(found) if part == "tests" else "", **one}


def _end(process: "subprocess.Popen[bytes]") -> None:
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # its own group, which it leads
    process.wait()


def _tests(scratch: Path) -> list[str]:
    """pytest on the tests marked `cuda`, by settings of its own: ours ask for plugins that a bare machine has not."""
    settings = scratch / "pytest.ini"
    settings.write_text(_PYTEST.format(root=ROOT), encoding="utf-8")
    files = [path for path in (ROOT / "tests").rglob("test_*.py") if "mark.cuda" in path.read_text("utf-8")]
    files.sort(key=lambda path: (len(path.parts), path))  # those of the whole first, should there not be time for all
    return [
        *(sys.executable, "-m", "pytest", "-c", str(settings), "--rootdir", str(ROOT), "-m", "cuda", "-v"),
        *("-p", in_time.__name__, "-rfE", "--tb=line"),
        *("--continue-on-collection-errors", "--junitxml", str(scratch / "tests.xml"), *map(str, files)),
    ]


def _tested(path: Path, printed: str) -> dict[str, Any]:
    if not path.exists():  # it was ended before it could say
        told = [line.removeprefix(in_time.FAILED) for line in printed.splitlines() if line.startswith(in_time.FAILED)]
        failures = {name: {"failed": why} for name, _, why in (line.partition(": ") for line in told)}
        return {**{word: printed.count(f" {word} ") for word in ("PASSED", "FAILED", "ERROR", "SKIPPED")}, **failures}
    (suite,) = ElementTree.parse(path).getroot().iter("testsuite")
    counts = {name: int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")}
    failed = {
        f"{case.get('classname')}.{case.get('name')}": {"failed": (wrong.get("message") or "")[:300]}
        for case in suite.iter("testcase")
        for wrong in (*case.iter("failure"), *case.iter("error"))
    }
    return {**counts, **failed}


def _outcome_of_tests(found: Mapping[str, Any]) -> str:
    passed = found.get("tests", 0) - sum(found.get(name, 0) for name in ("failures", "errors", "skipped"))
    return f"{passed} passed, {found.get('skipped', 0)} skipped"


def _environment(scratch: Path) -> dict[str, str]:
    places = [str(ROOT)]
    try:
        version("plastic-rl")
    except PackageNotFoundError:
        places.append(str(without_installing.write(scratch / "installed")))
    before = os.environ.get("PYTHONPATH")
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([*places, *([before] if before else [])]),
        "OMP_NUM_THREADS": "1",
        "OMP_WAIT_POLICY": "PASSIVE",
    }


def _commit() -> str:
    command = ["git", "rev-parse", "--short", "HEAD"]
    try:
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "not known"


def _machine(device: str) -> dict[str, str | int]:
    described = Path("/proc/cpuinfo")
    text = described.read_text(encoding="utf-8") if described.exists() else ""
    models = [line.split(":")[1].strip() for line in text.splitlines() if line.startswith("model name")]
    return {
        **(_gpu() if device == "cuda" else {}),
        "processor": models[0] if models else platform.processor(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        "Python": platform.python_version(),
        "torch": version("torch"),
        "system": f"{platform.system()} {platform.release()}",
    }


def _gpu() -> dict[str, str | int]:
    command = ["nvidia-smi", "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        return {"gpu": f"nvidia-smi failed: {error}"}
    name, driver, memory = (part.strip() for part in answer.splitlines()[0].split(","))
    return {"gpu": name, "driver": driver, "memory": memory}


if __name__ == "__main__":
    sys.exit(main())
