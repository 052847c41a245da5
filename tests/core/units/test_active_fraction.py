"""The fraction of active units of chosen layers."""

from collections.abc import Mapping

import pytest
from torch import Tensor, nn

from plastic.core.errors import NothingToActOn
from plastic.core.schedule import Always
from plastic.core.subject import Subject
from plastic.core.units.active_fraction import active_fraction, can_be_counted
from plastic.plugins.probes.active_units import ActiveUnits
from tests.plugins.probes import critics


def test_the_fraction_of_chosen_layers() -> None:
    class Looking(ActiveUnits):
        def measure(self, subject: Subject) -> Mapping[str, Tensor]:
            with pytest.raises(NothingToActOn, match="no hidden layer whose units can be off matches layers=trunk"):
                active_fraction(subject, "trunk")
            return {layers: active_fraction(subject, layers) for layers in ("head", "whole", "head.2+encoder")}

    model = critics.critic()
    measured = critics.probed(model, ActiveUnits(when=Always()))
    chosen = critics.probed(model, Looking(when=Always()))
    assert chosen["active_units/head"] == pytest.approx(measured["active_units/head"])
    assert chosen["active_units/whole"] == pytest.approx(measured["active_units/total"])
    one, two = critics.values_one_by_one(model)
    of = [one["encoder.1"], one["encoder.3"], one["head.2"], two["head.2"]]
    active, entries = sum(int((v > 0).sum()) for v in of), sum(v.numel() for v in of)
    assert chosen["active_units/head.2+encoder"] == pytest.approx(active / entries)


def test_only_a_hidden_layer_whose_units_can_be_off_can_be_counted() -> None:
    model = nn.Sequential(nn.Linear(2, 3), nn.Tanh(), nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
    assert [can_be_counted(model, layers) for layers in ("whole", "0", "2", "4")] == [True, False, True, False]
