"""What `plastic bench` prints of a GPU, which needs none."""

import pytest
from attrs import evolve
from rich.console import Console

from plastic.bench.costs import Costs, measure
from plastic.bench.kernels import Dispatched, Kernels
from plastic.cli.costs_table import costs_table
from plastic.core.recipes.recipe import Chosen, Recipe
from plastic.core.recipes.registry import Registry


def lines(costs: Costs, width: int = 200) -> list[str]:
    console = Console(width=width, no_color=True)
    with console.capture() as captured:
        console.print(costs_table(costs))
    return [line.rstrip() for line in captured.get().splitlines()]


@pytest.fixture(scope="module")
def costs() -> Costs:
    settings = {"hidden": 16, "learning_starts": 32, "batch_size": 8, "replay_capacity": 1_000}
    wanted = Recipe(env="CartPole-v1", steps=131, settings=settings, plugins=(Chosen("sam"),))
    return measure(wanted, Registry().load(), seconds=0.1)


def on_a_gpu(costs: Costs, kernels: Kernels | None) -> Costs:
    rows = [evolve(row, dispatched=Dispatched(1_234.0, kernels), gpu_megabytes=1_048.6) for row in costs.rows]
    assembly = evolve(costs.assembly, recipe=evolve(costs.assembly.recipe, device="cuda"))
    return evolve(costs, rows=rows, assembly=assembly, stretch=2, processor=0.1)


def test_on_a_cpu_there_is_no_word_of_a_gpu(costs: Costs) -> None:
    printed = lines(costs)
    assert not any("GPU" in line for line in printed)
    (head,) = (line for line in printed if line.startswith("plugins  ms"))
    assert head.split()[-4:] == ["operations", "hours", "of", "updates"]
    assert costs.rows[0].gpu_megabytes is None


def test_on_a_gpu_kernels_idle_time_and_memory_are_rows(costs: Costs) -> None:
    printed = lines(on_a_gpu(costs, Kernels(count=412.4, seconds=0.00061, idle=0.073, update=0.00072)))
    assert "waits   for the GPU after 2 updates, as a run does before it acts" in printed
    assert not any(line.startswith("mind") for line in printed)
    place = next(place for place, line in enumerate(printed) if line.startswith("on the GPU"))
    assert printed[place + 1].split() == ["bare", "412", "0.61", "0.72", "7%", "1,049"]
    assert printed[place + 2].split() == ["sam", "412", "0.61", "0.72", "7%", "1,049"]
    assert printed[-1].endswith(" GPU-hours")


def test_what_the_profiler_does_not_see_is_not_known(costs: Costs) -> None:
    printed = lines(on_a_gpu(costs, None))
    assert sum(line.count("not known") for line in printed) == 2 * 4


def test_of_captured_updates_the_parts_are_those_of_one_that_is_not(
    costs: Costs, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert any(line.startswith("of an update with all plugins  ") for line in lines(costs))
    monkeypatch.setattr(Costs, "captured", True)
    printed = lines(on_a_gpu(costs, None))
    assert "device  cuda, 1 thread, captured" in printed
    assert any(line.startswith("of an update with all plugins, not captured  ") for line in printed)


@pytest.mark.parametrize("width", [40, 50, 60, 80])
def test_in_a_narrow_terminal_every_row_has_its_label_and_all_its_numbers(costs: Costs, width: int) -> None:
    printed = lines(costs, width)
    assert max(map(len, printed)) <= width
    words = " ".join(printed).split()
    assert "sam" in words
    assert words.count("bare") >= 2, "the row and the heading"
    ratio = costs.rows[1].ratio
    assert f"{ratio.median:.2f} [{ratio.lower:.2f}, {ratio.upper:.2f}]" in "\n".join(printed)
    assert "operations" in words
    assert f"{costs.rows[1].dispatched.operations:,.0f}" in words
