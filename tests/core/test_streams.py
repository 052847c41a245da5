"""Random streams: one a label, and none shifts another."""

import torch

from plastic.core.streams import derive, generator, seeded


def test_seeds_are_fixed_for_all_time() -> None:
    """A checkpoint or a recipe of an earlier version relies on these very numbers."""
    assert derive(0) == 7210762507766007076
    assert derive(7, "rainbow", "noise", 12) == 8464661836725356974


def test_every_label_and_seed_has_a_stream_of_its_own() -> None:
    seeds = [
        derive(0),
        derive(1),
        derive(0, "a"),
        derive(0, "b"),
        derive(0, "a", "b"),
        derive(0, "b", "a"),
        derive(0, "ab"),
        derive(0, "a, b"),
        derive(0, 1),
        derive(0, "1"),
        derive(0, 1, 1),
        derive(0, 11),
    ]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_generators_of_a_label_draw_the_same() -> None:
    one, same, other = generator(3, "noise"), generator(3, "noise"), generator(3, "augmentation")
    drawn = torch.randn(4, generator=one)
    assert torch.equal(drawn, torch.randn(4, generator=same))
    assert not torch.equal(drawn, torch.randn(4, generator=other))


def test_seeded_leaves_the_global_generator_as_it_was() -> None:
    torch.manual_seed(1)
    expected = torch.rand(2)
    torch.manual_seed(1)
    with seeded(5):
        inside = torch.rand(3)
        with seeded(5):
            assert torch.equal(torch.rand(3), inside)
    assert torch.equal(torch.rand(2), expected)


def test_seeded_restores_after_an_error() -> None:
    torch.manual_seed(1)
    state = torch.get_rng_state()
    try:
        with seeded(5):
            torch.rand(3)
            raise KeyError
    except KeyError:
        pass
    assert torch.equal(torch.get_rng_state(), state)
