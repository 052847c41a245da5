import numpy as np
import pytest
import torch
from torch import Tensor

from plastic.agents.augmentation import augment, intensity, random_shift, to_float


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def pictures(batch: int, channels: int = 4, height: int = 12, width: int = 10) -> Tensor:
    return torch.randint(0, 256, (batch, channels, height, width), generator=stream(9), dtype=torch.uint8)


def found_offset(image: Tensor, shifted: Tensor, pad: int) -> tuple[int, int]:
    """The one place where numpy's edge padding, cropped, gives `shifted` in all channels."""
    padded = np.pad(image.numpy(), ((0, 0), (pad, pad), (pad, pad)), mode="edge")
    height, width = image.shape[1:]
    places = [
        (y, x)
        for y in range(2 * pad + 1)
        for x in range(2 * pad + 1)
        if np.array_equal(padded[:, y : y + height, x : x + width], shifted.numpy())
    ]
    assert len(places) == 1
    return places[0]


@pytest.mark.parametrize("pad", [1, 4])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
@pytest.mark.parametrize("channels", [1, 4])
def test_shift_is_a_crop_of_the_padded_image(pad: int, dtype: torch.dtype, channels: int) -> None:
    images = pictures(40, channels).to(dtype)
    before = images.clone()
    shifted = random_shift(images, pad, stream())
    assert shifted.dtype == dtype
    assert shifted.shape == images.shape
    assert torch.equal(images, before)
    offsets = {found_offset(image, moved, pad) for image, moved in zip(images, shifted, strict=True)}
    assert len(offsets) > 5  # each image its own


def test_every_offset_is_equally_likely() -> None:
    images = pictures(1).expand(1800, -1, -1, -1)
    shifted = random_shift(images, 1, stream())
    counts = np.zeros((3, 3))
    for moved in shifted:
        counts[found_offset(images[0], moved, 1)] += 1
    assert np.abs(counts - 200).max() < 5 * np.sqrt(200)


def test_no_pad_draws_nothing() -> None:
    images, generator = pictures(3), stream()
    assert torch.equal(random_shift(images, 0, generator), images)
    assert torch.equal(generator.get_state(), stream().get_state())


def test_shift_of_images_laid_out_otherwise() -> None:
    images = pictures(5)
    channels_last = images.contiguous(memory_format=torch.channels_last)
    assert torch.equal(random_shift(channels_last, 2, stream()), random_shift(images, 2, stream()))


def test_intensity_is_one_clipped_factor_an_image() -> None:
    images = torch.rand(4000, 2, 3, generator=stream(1)) + 0.5
    factors = intensity(images, stream(), scale=0.1) / images
    torch.testing.assert_close(factors, factors[:, :1, :1].expand_as(factors))
    noise = (factors[:, 0, 0] - 1) / 0.1
    # A share of 2 x 0.02275 of a normal's mass lies beyond 2 and is clipped to it.
    assert noise.abs().max().item() == pytest.approx(2, abs=1e-4)
    assert (noise.abs() > 1.999).float().mean().item() == pytest.approx(0.0455, abs=0.015)
    assert noise.mean().item() == pytest.approx(0, abs=0.05)
    assert noise.std().item() == pytest.approx(0.959, abs=0.05)


def test_bytes_become_floats_between_0_and_1() -> None:
    pixels = torch.arange(256, dtype=torch.uint8).view(1, 1, 16, 16)
    floats = to_float(pixels)
    assert floats.dtype == torch.float32
    torch.testing.assert_close(floats, pixels.float() / 255)
    assert floats.min().item() == 0
    assert floats.max().item() == 1


def test_floats_stay_as_they_are() -> None:
    values = torch.randn(3, 4, generator=stream())
    assert to_float(values) is values
    assert to_float(values, channels_last=True) is values


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32])
def test_channels_last_changes_the_layout_alone(dtype: torch.dtype) -> None:
    images = pictures(6).to(dtype)
    plain, laid_out = to_float(images), to_float(images, channels_last=True)
    assert torch.equal(plain, laid_out)
    assert laid_out.is_contiguous(memory_format=torch.channels_last)
    augmented = augment(images, stream(), channels_last=True)
    assert torch.equal(augmented, augment(images, stream()))
    assert augmented.is_contiguous(memory_format=torch.channels_last)


def test_augment_is_shift_then_scale_then_intensity() -> None:
    images, generator = pictures(8), stream()
    step_by_step = intensity(to_float(random_shift(images, 3, generator)), generator, 0.2)
    torch.testing.assert_close(augment(images, stream(), pad=3, scale=0.2), step_by_step)


def test_augment_without_pad_and_scale_is_to_float() -> None:
    images, generator = pictures(8), stream()
    assert torch.equal(augment(images, generator, pad=0, scale=0), to_float(images))
    assert torch.equal(generator.get_state(), stream().get_state())


def test_vectors_pass_unchanged_and_draw_nothing() -> None:
    vectors, generator = torch.randn(5, 7, generator=stream()), stream()
    assert augment(vectors, generator) is vectors
    assert torch.equal(generator.get_state(), stream().get_state())


def test_the_stream_alone_decides() -> None:
    images = pictures(8)
    first = augment(images, stream(1))
    torch.manual_seed(99)
    assert torch.equal(first, augment(images, stream(1)))
    assert not torch.equal(first, augment(images, stream(2)))
    generator = stream(1)
    augment(images, generator)
    assert not torch.equal(first, augment(images, generator))  # observation and next observation differ
