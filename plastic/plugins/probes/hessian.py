"""Largest and smallest eigenvalue of the Hessian."""

import math
from collections.abc import Callable, Mapping

import torch
from attrs import field, frozen
from torch import Tensor, nn

from plastic.core.layers import unscaled
from plastic.core.probe import Probe
from plastic.core.schedule import Every, Schedule
from plastic.core.subject import Subject
from plastic.core.validators import between


@frozen(eq=False)
class Hessian(Probe):
    """Largest and smallest eigenvalue of the Hessian of the mean loss (Lee et al., 2023, arXiv:2306.10711, 5.1).

    Of all trained parameters together, by the method of Lanczos from a random start, with full reorthogonalisation.
    Signed: the power iteration of PLASTIC's code gives whichever of the two is larger in magnitude. `residual/...` is
    |H v - lambda v| of the unit vector v found: an eigenvalue lies within that of the number given.

    The loss is without importance weights and noise, its target fixed. Parameters that it does not reach then (the
    deviations of noisy layers) are left out, and no gradient is scaled on its way, as that of a dueling network is
    in training.

    Attributes:
        steps: How many products of the Hessian and a vector at the most; as many vectors of the parameters' size
            are kept.
        tolerance: It stops where both residuals are below this share of the larger eigenvalue's magnitude.
        when: At which updates.
    """

    name = "hessian"
    steps: int = field(default=24, validator=between(1))
    tolerance: float = field(default=1e-3, validator=between(0))
    when: Schedule = Every(10_000)

    def measure(self, subject: Subject) -> Mapping[str, Tensor]:
        """Both ends of the spectrum."""
        model = unscaled(subject.model)
        with torch.enable_grad():
            product, size = hessian_of(subject.loss(model).mean(), model)
        device = next(model.parameters()).device
        start = torch.randn(size, generator=subject.generator, device=device)
        values, residuals = lanczos(product, start, self.steps, self.tolerance)
        return {
            "largest": values[-1],
            "smallest": values[0],
            "residual/largest": residuals[-1],
            "residual/smallest": residuals[0],
        }


def hessian_of(loss: Tensor, model: nn.Module) -> tuple[Callable[[Tensor], Tensor], int]:
    """The product H v for v [n], and n: the Hessian of a scalar by the trained parameters it depends on."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    gradients = torch.autograd.grad(loss, trained, create_graph=True, allow_unused=True)
    reached = [(p, g) for p, g in zip(trained, gradients, strict=True) if g is not None]
    params = [parameter for parameter, _ in reached]
    sizes = [parameter.numel() for parameter in params]

    def product(vector: Tensor) -> Tensor:
        parts = [part.view(p.shape) for part, p in zip(vector.split(sizes), params, strict=True)]
        curved = [(g, part) for (_, g), part in zip(reached, parts, strict=True) if g.requires_grad]
        if not curved:
            return torch.zeros_like(vector)
        along, by = zip(*curved, strict=True)
        rows = torch.autograd.grad(along, params, by, retain_graph=True, materialize_grads=True, allow_unused=True)
        return torch.cat([row.reshape(-1) for row in rows])

    return product, sum(sizes)


def lanczos(product: Callable[[Tensor], Tensor], start: Tensor, steps: int, tolerance: float) -> tuple[Tensor, Tensor]:
    """Eigenvalues of a symmetric matrix as its Krylov space shows them, ascending, and the residual of each.

    Every new vector is made orthogonal to all before it, twice: in single precision the three-term recurrence alone
    loses orthogonality after a few steps and then finds eigenvalues again that it has.

    Args:
        product: v [n] -> A v [n].
        start: Any vector [n] that is not orthogonal to what is looked for; a random one.
        steps: Products at the most; n are enough for all eigenvalues.
        tolerance: Relative residual at which the two ends are good enough.
    """
    steps = min(steps, len(start))
    basis = start.new_empty(steps, len(start))
    basis[0] = start / start.norm()
    diagonal: list[float] = []
    beside: list[float] = []
    values = residuals = torch.full((1,), math.nan, dtype=torch.float64)
    for step in range(steps):
        known = basis[: step + 1]
        vector = product(basis[step])
        diagonal.append(float(vector @ basis[step]))
        for _ in range(2):
            vector = vector.addmv(known.t(), known @ vector, alpha=-1)
        length = float(vector.norm())
        if not math.isfinite(diagonal[-1] + length):
            values = residuals = torch.full_like(values, math.nan)
            break
        matrix = torch.diag(torch.tensor(diagonal, dtype=torch.float64))
        for place, value in enumerate(beside):
            matrix[place, place + 1] = matrix[place + 1, place] = value
        values, vectors = torch.linalg.eigh(matrix)
        residuals = length * vectors[-1].abs()
        good = tolerance * float(values.abs().max())
        if step + 1 == steps or max(residuals[0], residuals[-1]) <= good or length <= 1e-6 * float(values.abs().max()):
            break
        beside.append(length)
        basis[step + 1] = vector / length
    return values.to(start), residuals.to(start)
