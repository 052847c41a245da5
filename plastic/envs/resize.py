"""Shrinking a grey image as OpenCV does, without OpenCV."""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]  # [height, width]
Size = tuple[int, int]  # height, width

# OpenCV's bilinear weights are whole multiples of 2**-11.
_UNIT = 2048


class Bilinear:
    """Two taps an axis around the centre of the target pixel, as INTER_LINEAR: bit for bit.

    The centre of target pixel d lies at s = (d + 0.5) n / m - 0.5 of the source, n pixels to m; the two
    pixels around it count 1 - (s - floor s) and s - floor s. Beyond the border the border pixel counts.
    There is no smoothing: when an image shrinks by more than two, some of its pixels count nowhere.

    Args:
        source: Size of the images to come.
        target: Size to give them.
    """

    def __init__(self, source: Size, target: Size) -> None:
        (rows, below), (columns, right) = (_pairs(*sides) for sides in zip(source, target, strict=True))
        flat = rows[:, None, :, None] * source[1] + columns[None, :, None, :]
        self._index = flat.reshape(4, *target)  # above left, above right, below left, below right
        left_weight = np.broadcast_to(_UNIT - right, (2, *target))
        right_weight = np.broadcast_to(right, (2, *target))
        self._columns = np.ascontiguousarray(left_weight), np.ascontiguousarray(right_weight)
        row_weights = np.broadcast_to(np.stack([_UNIT - below, below])[:, :, None], (2, *target))
        self._rows = np.ascontiguousarray(row_weights)
        self._pixels = np.empty((4, *target), np.uint8)
        self._left = np.empty((2, *target), np.int32)
        self._right = np.empty((2, *target), np.int32)

    def __call__(self, image: Image) -> Image:
        """The image at the target size, a new array."""
        pixels, left, right = self._pixels, self._left, self._right
        image.take(self._index, out=pixels, mode="clip")  # "raise" would buffer the output
        np.multiply(pixels[0::2], self._columns[0], out=left)
        np.multiply(pixels[1::2], self._columns[1], out=right)
        left += right
        # The integer steps of OpenCV's 8-bit code: it drops 4 bits, then 16, and rounds off the last 2.
        left >>= 4
        left *= self._rows
        left >>= 16
        total: NDArray[np.int32] = right[0]
        np.add(left[0], left[1], out=total)
        total += 2
        total >>= 2
        return total.astype(np.uint8)


def _pairs(source: int, target: int) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
    """Indices [2, target] of the pixels around each target centre, and the second one's weight."""
    centre = ((np.arange(target) + 0.5) * (source / target) - 0.5).astype(np.float32)
    first = np.floor(centre)
    weight = np.rint((centre - first) * np.float32(_UNIT)).astype(np.int32)
    index = first.astype(np.intp)
    return np.stack([index, index + 1]).clip(0, source - 1), weight


class Area:
    """The mean over the source area that a target pixel covers, as INTER_AREA.

    Bit for bit, but where the source is a whole multiple of the target: OpenCV then rounds halves up,
    here they go to the even neighbour.

    Args:
        source: Size of the images to come.
        target: Size to give them, in neither direction larger.
    """

    def __init__(self, source: Size, target: Size) -> None:
        (self._rows, row_weights), (self._columns, column_weights) = (
            _overlaps(*sides) for sides in zip(source, target, strict=True)
        )
        self._row_weights = row_weights[:, :, None]
        self._column_weights = column_weights

    def __call__(self, image: Image) -> Image:
        """The image at the target size, a new array."""
        # Columns first, as OpenCV: the other order rounds some halves the other way.
        columns = (image.take(self._columns, axis=1) * self._column_weights).sum(axis=1)
        means: NDArray[np.float32] = (columns.take(self._rows, axis=0) * self._row_weights).sum(axis=0)
        return np.rint(means).astype(np.uint8)


def _overlaps(source: int, target: int) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Indices [taps, target] of the pixels that each target pixel covers, and the shares it covers them by."""
    if target > source:
        raise ValueError(f"{target} pixels cannot be means of {source}")
    scale = source / target
    start = np.arange(target) * scale
    taps = int(np.ceil(scale)) + 1
    pixel = np.floor(start).astype(np.intp) + np.arange(taps)[:, None]
    covered = np.minimum(start + scale, pixel + 1) - np.maximum(start, pixel)
    return pixel.clip(0, source - 1), (covered.clip(0) / scale).astype(np.float32)


RESIZES: Mapping[str, Callable[[Size, Size], Callable[[Image], Image]]] = {"bilinear": Bilinear, "area": Area}
