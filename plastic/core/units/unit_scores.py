"""How large a unit's values are beside those of its layer."""

from torch import Tensor


def scores(values: Tensor, *, mirrored: bool = False) -> Tensor:
    """s_i = mean |h_i| / mean over units of mean |h_k|, [B, units, ...] -> [units] (Sokar et al., 2023, eq. 1).

    The score of a convolution's channel is over the batch and all pixels. Where an activation
    gives two numbers a unit (`mirrored`: CReLU), they count as one.
    """
    size = values.abs().transpose(0, 1).flatten(1).mean(1)
    if mirrored:
        size = size.unflatten(0, (2, -1)).mean(0)
    return size / (size.mean() + 1e-9)
