"""What the losses read: images shifted at random, noise drawn."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from plastic.agents.actor_critic.batches import drawn
from plastic.agents.replay import Batch

SIZE, SIDE, PAD = 64, 12, 2


def batch(*, pixels: bool = True) -> Batch:
    """The same observation twice in every row."""
    stream = torch.Generator().manual_seed(0)
    images = torch.randint(256, (SIZE, 3, SIDE, SIDE), generator=stream, dtype=torch.uint8)
    observation = images if pixels else torch.randn(SIZE, 5, generator=stream)
    action = torch.rand(SIZE, 2, generator=stream) * 2 - 1
    numbers = torch.arange(SIZE).float()
    return Batch(observation, action, numbers, numbers / SIZE, observation, torch.ones(SIZE), torch.arange(SIZE))


def places(shifted: Tensor, images: Tensor) -> list[tuple[int, int]]:
    """Where each image lies in the one whose edges are repeated."""
    padded = F.pad(images.float() / 255, (PAD,) * 4, mode="replicate")
    found = []
    for crop, whole in zip(shifted, padded, strict=True):
        fits = [
            (row, column)
            for row in range(2 * PAD + 1)
            for column in range(2 * PAD + 1)
            if torch.allclose(crop, whole[:, row : row + SIDE, column : column + SIDE], atol=1e-6)
        ]
        found += fits[:1]
    return found


def test_images_are_shifted_by_draws_of_their_own() -> None:
    given = batch()
    made = drawn(given, torch.Generator().manual_seed(0), PAD)
    one, other = (places(images, given.observation) for images in (made.observation, made.next_observation))
    assert len(one) == len(other) == SIZE, "some are no crop of theirs"
    assert sum(a == b for a, b in zip(one, other, strict=True)) < SIZE / 3
    for found in (one, other):
        assert {row for row, _ in found} == {column for _, column in found} == set(range(2 * PAD + 1))
    for name in ("action", "returns", "discount"):
        assert getattr(made, name) is getattr(given, name)


@pytest.mark.parametrize(("pixels", "pad"), [(True, 0), (False, PAD)])
def test_nothing_is_shifted_without_a_shift_or_without_an_image(pixels: bool, pad: int) -> None:
    given = batch(pixels=pixels)
    made = drawn(given, torch.Generator().manual_seed(0), pad)
    expected = given.observation.float() / (255 if pixels else 1)
    torch.testing.assert_close(made.observation, expected)
    torch.testing.assert_close(made.next_observation, expected)
    again = torch.randn(SIZE, 2, generator=torch.Generator().manual_seed(0))
    assert torch.equal(made.noise, again)  # and nothing else was drawn


def test_the_noise_is_standard_normal_and_the_streams() -> None:
    given = batch(pixels=False)
    noise = torch.cat([drawn(given, torch.Generator().manual_seed(seed), 0).noise for seed in range(100)])
    assert noise.shape == (100 * SIZE, 2)
    assert noise.mean().abs() < 0.05
    assert float(noise.std()) == pytest.approx(1, abs=0.05)
    assert torch.equal(noise[:SIZE], drawn(given, torch.Generator().manual_seed(0), 0).noise)
    assert not torch.isclose(noise[:SIZE], noise[SIZE : 2 * SIZE]).any(1).all()
