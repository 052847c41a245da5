import torch

from plastic.bench.parts import AUGMENT, BATCH, COPIES, LOSSES, OPTIMIZER, PARTS, PLUGINS, parts
from plastic.bench.play import random_play
from plastic.bench.workload import Workload
from plastic.core.learning.learner import Learner
from plastic.core.learning.update import Evaluation
from plastic.core.recipes.assemble import assemble
from plastic.core.recipes.recipe import Chosen, Recipe
from plastic.core.recipes.registry import Registry
from plastic.core.recording.programs import Programs
from plastic.plugins.modifiers.sam import SAM
from plastic.plugins.modifiers.swa import SWA


def workload(*plugins: str) -> Workload:
    settings = {"hidden": 16, "learning_starts": 32, "batch_size": 8, "replay_capacity": 1_000}
    recipe = Recipe(
        env="CartPole-v1", steps=200, settings=settings, plugins=[Chosen.parse(plugin) for plugin in plugins]
    )
    registry = Registry().load()
    return Workload.of(recipe, registry, random_play(assemble(recipe, registry).env, seed=0))


def test_every_part_of_an_update_has_its_time() -> None:
    found = parts(workload("sam", "swa:when=always"), updates=3)
    assert tuple(found) == PARTS
    assert min(found.values()) > 0
    assert found[LOSSES] > found[AUGMENT]


def test_a_bare_agent_has_no_plugins_to_wait_for() -> None:
    found = parts(workload(), updates=2)
    assert found[PLUGINS] == 0
    assert min(found[part] for part in (LOSSES, OPTIMIZER, COPIES)) > 0


def test_afterwards_everything_is_as_it_was() -> None:
    owners = (Learner, Evaluation, SAM, SWA, torch.optim.Adam)
    before = [dict(vars(owner)) for owner in owners]
    one = workload("sam", "swa")
    parts(one, updates=1)
    assert [dict(vars(owner)) for owner in owners] == before
    one()


def test_the_update_that_is_taken_apart_is_the_update() -> None:
    taken, whole = workload("sam"), workload("sam")
    parts(taken, updates=2)
    for _ in range(2):
        whole()
    (ours,), (theirs,) = (list(one.assembly.agent.learners.values()) for one in (taken, whole))
    for name, parameter in ours.params.items():
        assert torch.equal(parameter, theirs.params[name])


def test_a_recording_is_put_aside_while_an_update_is_taken_apart() -> None:
    one = workload("sam")
    agent = one.assembly.agent
    agent.be_recorded(Programs())
    for _ in range(4):
        one()
    recording = agent.capture
    assert recording is not None
    found = parts(one, updates=2)
    assert min(found[part] for part in (BATCH, AUGMENT, LOSSES, OPTIMIZER, COPIES, PLUGINS)) > 0
    assert agent.capture is recording
    one()
