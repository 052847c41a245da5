"""Augmentation of image observations: a random shift, a random intensity, and their one way to float."""

import torch
from torch import Tensor

IMAGE_AXES = 4  # [B, C, H, W]


def random_shift(images: Tensor, pad: int, generator: torch.Generator) -> Tensor:
    """Images [B, C, H, W] moved by up to `pad` pixels per axis, the edge repeated (DrQ, arXiv:2004.13649).

    All channels of an image, that is the frames of one stack, move alike. Equal to padding by `pad` with the
    edge pixels and cropping at a random place; any dtype, kept. A `pad` of 0 draws nothing.
    """
    if pad == 0:
        return images
    batch, channels, height, width = images.shape
    offset = torch.randint(2 * pad + 1, (2, batch), generator=generator, device=images.device)
    padded = _pad_edges(images, pad)
    # Every crop is a window of the padded images' memory, told by where it begins: one gather of whole
    # windows, 20 times faster here than indexing the pixels.
    row = width + 2 * pad
    plane = (height + 2 * pad) * row
    extent = (channels - 1) * plane + (height - 1) * row + width  # from a window's first pixel to its last
    windows = padded.as_strided((padded.numel() - extent + 1, channels, height, width), (1, plane, row, 1))
    first = torch.arange(batch, device=images.device) * (channels * plane)
    return windows.index_select(0, first + offset[0] * row + offset[1])


def intensity(images: Tensor, generator: torch.Generator, scale: float = 0.05) -> Tensor:
    """Float images [B, ...] times 1 + scale * clip(N(0, 1), -2, 2), one draw an image; not clamped."""
    return images * _factors(images, generator, scale)


def to_float(observations: Tensor, *, channels_last: bool = False) -> Tensor:
    """uint8 [B, ...] as float32 between 0 and 1; floats as they are.

    `channels_last` lays images out so that convolutions on a CPU read them faster; the values are the same.
    """
    return _scaled(observations, None, channels_last)


def augment(
    observations: Tensor,
    generator: torch.Generator,
    *,
    pad: int = 4,
    scale: float = 0.05,
    channels_last: bool = False,
) -> Tensor:
    """Shift, then intensity (values: DrQ's, as SPR uses them, arXiv:2007.05929), as float32.

    Pixels are shifted as bytes and become float once, 1/255 and intensity in one multiplication. What are
    no images [B, C, H, W] is converted by `to_float` and otherwise unchanged, and draws nothing.
    """
    if observations.dim() != IMAGE_AXES:
        return to_float(observations)
    shifted = random_shift(observations, pad, generator)
    factors = _factors(shifted, generator, scale) if scale else None
    return _scaled(shifted, factors, channels_last)


def _scaled(observations: Tensor, factors: Tensor | None, channels_last: bool) -> Tensor:
    channels_last = channels_last and observations.dim() == IMAGE_AXES
    if observations.is_floating_point():
        floats = observations if factors is None else observations * factors
        return floats.contiguous(memory_format=torch.channels_last) if channels_last else floats
    if channels_last:
        floats = torch.empty(observations.shape, device=observations.device, memory_format=torch.channels_last)
        # Twice as fast on a CPU as changing the layout before or after the conversion.
        for channel in range(observations.shape[1]):
            floats[:, channel].copy_(observations[:, channel])
    else:
        floats = observations.float()
    # In two steps: bytes times floats directly is converted value by value, 20 times slower on a CPU.
    return floats.mul_(1 / 255 if factors is None else factors / 255)


def _factors(images: Tensor, generator: torch.Generator, scale: float) -> Tensor:
    noise = torch.randn(images.shape[0], generator=generator, device=images.device)
    return noise.clamp_(-2, 2).mul_(scale).add_(1).view(-1, *[1] * (images.dim() - 1))


def _pad_edges(images: Tensor, pad: int) -> Tensor:
    """By slices, which take any dtype on any device; on a CPU nearly as fast as torch's own padding."""
    batch, channels, height, width = images.shape
    padded = images.new_empty(batch, channels, height + 2 * pad, width + 2 * pad)
    middle = padded[:, :, pad : pad + height]
    middle[..., pad : pad + width] = images
    middle[..., :pad] = images[..., :1]
    middle[..., pad + width :] = images[..., -1:]
    padded[:, :, :pad] = middle[:, :, :1]
    padded[:, :, pad + height :] = middle[:, :, -1:]
    return padded
