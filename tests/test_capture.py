"""Updates that are recorded and replayed, on every agent and with every plugin."""

from functools import cache

import pytest
from torch import Tensor

from plastic.core.errors import NothingToActOn
from plastic.core.plugin import Plugin
from plastic.core.recipes.recipe import Chosen
from plastic.core.recipes.registry import Registry
from plastic.core.recording.programs import Programs
from plastic.testing.check import acting
from plastic.testing.compare import differences
from plastic.testing.known import built_in
from plastic.testing.laws.recorded import replaying
from plastic.testing.state import story
from plastic.testing.trial import WARM, Trial

PLACES = ("rainbow", "states", "pixels", "drqv2")
UGLIEST = ("sam", "swa", "clip_gradients", "hare_tortoise", "dropout", "spectral_norm", "layer_norm", "reset", "redo")


@cache
def known() -> Registry:
    return built_in()


def at_work(name: str) -> Chosen:
    """With options with which it acts within a few updates."""
    cls: type[Plugin] = known().find("plugin", name)
    return Chosen(name, acting(cls))


@pytest.mark.parametrize("kind", PLACES)
def test_a_hundred_replayed_updates_are_those_that_are_carried_out(kind: str) -> None:
    def trial(*, replayed: bool) -> Trial:
        made = Trial(kind, steps=WARM + 99)
        if replayed:
            made.agent.be_recorded(Programs())
        return made.warm_up().run()

    assert differences(story(trial(replayed=True)), story(trial(replayed=False))) == []


@pytest.mark.parametrize("name", known().all("plugin"))
def test_so_they_are_with_every_plugin(name: str) -> None:
    chosen = [at_work(name)]
    tried = 0
    for kind in ("rainbow", "plain"):
        try:
            assert replaying(kind, chosen, known()) is None
        except NothingToActOn:
            continue
        tried += 1
        break
    assert tried


@pytest.mark.parametrize("kind", PLACES)
def test_so_they_are_with_many_plugins_at_once(kind: str) -> None:
    assert replaying(kind, [at_work(name) for name in UGLIEST], known()) is None


def test_the_first_update_after_a_reset_is_a_replay_and_right() -> None:
    """It writes in place, so the recordings stay; and what the optimizer then does is what it would do."""
    chosen = [Chosen.parse("reset:layers=head,when=6")]
    kept = []
    for replayed in (True, False):
        trial = Trial("rainbow", chosen, steps=WARM + 9)
        if replayed:
            trial.agent.be_recorded(Programs())
        trial.warm_up().run(WARM + 4)
        recordings = len(trial.agent.capture._recorded) if trial.agent.capture else 0
        kept.append(story(trial.run()))
        assert recordings == (2 if replayed else 0)
        assert trial.agent.capture is None or len(trial.agent.capture._recorded) == recordings
    assert differences(*kept) == []


def test_after_an_injection_updates_are_recorded_anew() -> None:
    trial = Trial("rainbow", [Chosen.parse("plasticity_injection:when=5")], steps=WARM + 9)
    trial.agent.be_recorded(Programs())
    capture = trial.agent.capture
    assert capture is not None
    trial.warm_up().run(WARM + 3)
    before = [recording for recording, _ in capture._recorded.values()]
    trial.run()
    after = {kind: recording for kind, (recording, _) in capture._recorded.items()}
    assert not any(old is new for old in before for new in after.values())
    assert len([kind for kind in after if "update" in str(kind)]) == 1


def test_windows_that_were_once_of_this_length_are_recorded_anew() -> None:
    def trial(*, replayed: bool) -> Trial:
        made = Trial("rainbow", steps=WARM + 12)
        if replayed:
            made.agent.be_recorded(Programs())
        made.warm_up().run(WARM + 3)
        for n_step, discount, to in ((3, 0.99, 6), (2, 0.5, 12)):
            made.agent.knobs |= {"n_step": n_step, "discount": discount}
            made.run(WARM + to)
        return made

    assert differences(story(trial(replayed=True)), story(trial(replayed=False))) == []


def test_a_checkpoint_of_a_run_that_replays_goes_on_bit_for_bit() -> None:
    chosen = [Chosen.parse("sam"), Chosen.parse("swa:when=2")]
    whole = Trial("rainbow", chosen, steps=WARM + 12)
    whole.agent.be_recorded(Programs())
    whole.warm_up().run(WARM + 5)
    file = whole.save()
    whole.run()
    resumed = Trial("rainbow", chosen, steps=WARM + 12)
    resumed.agent.be_recorded(Programs())
    resumed.load(file).run()
    one, other = story(whole), story(resumed)
    assert one.pop("actions")[-6:].equal(other.pop("actions")[-6:])
    assert differences(one, other) == []


def test_a_checkpoint_fits_a_run_that_does_not_record_and_the_other_way_round() -> None:
    for first, second in ((True, False), (False, True)):
        one, other = Trial("states", steps=WARM + 8), Trial("states", steps=WARM + 8)
        for trial, records in ((one, first), (other, second)):
            if records:
                trial.agent.be_recorded(Programs())
        file = one.warm_up().run(WARM + 3).save()
        other.load(file).run()
        rates = [learner.optimizer.param_groups[0]["lr"] for learner in other.learners.values()]
        assert all(isinstance(rate, Tensor) == second for rate in rates)
