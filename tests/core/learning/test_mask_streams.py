"""The random streams of dropout's masks."""

import torch

from plastic.core.learning.mask_streams import MaskStreams

CPU = torch.device("cpu")


def _draws(streams: MaskStreams, part: str = "loss", draws: int = 1) -> torch.Tensor:
    return torch.rand(4, generator=streams.of(part, draws)(CPU))


def test_an_evaluation_on_the_same_noise_draws_the_same_again() -> None:
    streams = MaskStreams(0, "critic")
    streams.begin(1)
    first, second = _draws(streams), _draws(streams)
    assert torch.equal(first, second)
    assert not torch.equal(first, _draws(streams, draws=2))
    assert not torch.equal(first, _draws(streams, "target"))


def test_each_update_begins_the_streams_again_in_the_same_generators() -> None:
    streams = MaskStreams(0, "critic")
    streams.begin(1)
    first = _draws(streams)
    kept = list(streams)
    streams.begin(2)
    assert not torch.equal(first, _draws(streams))
    streams.begin(1)
    assert torch.equal(first, _draws(streams))
    assert len(kept) == 1
    assert all(one is other for one, other in zip(kept, streams, strict=True))


def test_a_stream_is_the_seeds_and_the_learners() -> None:
    def first(seed: int, learner: str) -> torch.Tensor:
        streams = MaskStreams(seed, learner)
        streams.begin(1)
        return _draws(streams)

    assert torch.equal(first(0, "critic"), first(0, "critic"))
    assert not torch.equal(first(0, "critic"), first(1, "critic"))
    assert not torch.equal(first(0, "critic"), first(0, "actor"))


def test_nothing_is_made_unless_something_is_drawn() -> None:
    streams = MaskStreams(0, "critic")
    streams.begin(1)
    streams.of("loss", 1)
    assert not list(streams)
