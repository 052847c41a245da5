"""The examples run, at small size, and what they cannot do they say in a sentence that leads on."""

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from plastic.core.errors import UsageError
from plastic.core.learning.learner import Learner
from plastic.core.objective import Objective
from plastic.core.recipes.registry import Registry
from plastic.plugins.interventions.layer_norm import LayerNorm

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"


def run(name: str, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", f"import sys, runpy; sys.path.insert(0, {str(ROOT)!r}); "
         f"sys.argv = {[name, *arguments]!r}; runpy.run_path({str(EXAMPLES / name)!r}, run_name='__main__')"],
        capture_output=True, text=True, timeout=200, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif("redo" not in Registry().load().all("plugin"), reason="ReDo is not in this version")
def test_supervised() -> None:
    lines = run("supervised.py", "20").splitlines()
    assert [line.split(":")[0] for line in lines] == [f"task {number}" for number in range(5)]


def test_supervised_is_shorter_than_it_should_be() -> None:
    source = (EXAMPLES / "supervised.py").read_text(encoding="utf-8").splitlines()
    assert sum(bool(line.strip()) for line in source) < 40


def test_own_loop() -> None:
    assert run("own_loop.py", "300").startswith("mean score of the last ten episodes: ")


class Untraceable(nn.Module):
    """Decides by what it computes, which nobody can trace."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.last = nn.Linear(4, 8), nn.Linear(8, 2)

    def forward(self, x: Tensor) -> Tensor:
        hidden = self.first(x)
        if hidden.sum() > 0:
            hidden = hidden.relu()
        outputs: Tensor = self.last(hidden)
        return outputs


class Functional(Untraceable):
    """Calls its activation as a function."""

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self.last(torch.relu(self.first(x)))
        return outputs


class Zero(Objective):
    def losses(self, model: nn.Module, batch: Tensor, target: None) -> Tensor:
        losses: Tensor = model(batch).square().sum(1)
        return losses

    def inputs(self, batch: Tensor) -> tuple[Tensor, ...]:
        return (batch,)

    def sample(self, generator: torch.Generator) -> Tensor:
        return torch.ones(2, 4)


@pytest.mark.parametrize(
    ("network", "line", "way_out"),
    [
        (Untraceable, "if hidden.sum() > 0:", "keep control flow that depends on values out of it"),
        (Functional, "line 65, in forward", "make it a module, such as nn.ReLU()"),
    ],
)
def test_a_network_that_cannot_be_traced_is_refused_with_its_line(
    network: type[nn.Module], line: str, way_out: str
) -> None:
    with pytest.raises(UsageError) as caught:
        Learner("own", network, Zero(), torch.optim.Adam, plugins=[LayerNorm()])
    message = str(caught.value)
    assert "test_examples.py" in message
    assert line in message
    assert way_out in message
