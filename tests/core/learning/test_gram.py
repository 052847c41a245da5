"""Gram matrices are the products that they say."""

import pytest
import torch

from plastic.core.learning.gram import gram


@pytest.mark.parametrize("shape", [(3, 40), (255, 40), (256, 40), (301, 40), (2, 258, 7), (2, 3, 4)])
def test_it_is_the_product_with_the_transpose(shape: tuple[int, ...]) -> None:
    matrix = torch.randn(shape, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(gram(matrix), matrix @ matrix.mT)
