"""The fixtures, in a test of somebody else's."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TEST = """
from attrs import frozen
from plastic.core.modifier import OptimizerModifier
from plastic.core.validators import between
from attrs import field

@frozen(eq=False)
class Clip(OptimizerModifier):
    name = "clip"
    changes = frozenset({"parameters"})
    bound: float = field(default=0.01, validator=between(0))

    def after_step(self, params, lr):
        for weight in params.values():
            weight.clamp_(-self.bound, self.bound)

@frozen(eq=False)
class Inert(OptimizerModifier):
    name = "inert"
    changes = frozenset({"gradients"})

def test_sound(check_plugin):
    assert check_plugin(Clip, on=("plain",), beside=()).plugin == "clip"

def test_unsound(check_plugin):
    check_plugin(Inert, on=("plain",), beside=())

def test_registry(plastic_registry):
    assert {entry.package for entry in plastic_registry.all("plugin").values()} == {"plastic-rl"}

def test_trial(plastic_trial):
    trial = plastic_trial("plain", Clip(bound=0.02)).run()
    assert max(float(w.detach().abs().max()) for w in trial.learners["network"].params.values()) <= 0.0200001
"""


@pytest.mark.slow
def test_the_fixtures(tmp_path: Path) -> None:
    (tmp_path / "test_own.py").write_text(TEST, encoding="utf-8")
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "plastic.pytest_plugin", str(tmp_path)],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert "1 failed, 3 passed" in done.stdout, done.stdout + done.stderr
    assert "inert is not sound\n  changes: it is inert: no run with it differs from the run without" in done.stdout
