"""The loss with the plugin in it is one graph, and compiled it is what it is eagerly."""

from typing import Any
from warnings import catch_warnings, simplefilter

import torch

from plastic.core.learning.learner import Learner
from plastic.core.plugin import Plugin
from plastic.core.streams import seeded
from plastic.testing.certificate import Law
from plastic.testing.compare import copied, near
from plastic.testing.examination import PLACES, Examination

_MEANING = "compiled as one graph (fullgraph, aot_eager), the loss and its gradients are those of eager torch"
_TOLERANCE = 1e-4, 1e-6


def traced(examination: Examination) -> Law:
    """Tried where the plugin has a part in the forward pass."""
    broken: list[str] = []
    tried: list[str] = []
    for kind, watch in examination.watches.items():
        taking_part = [one for one in watch.trial.learners.items() if _takes_part(one[1], examination.cls)]
        for name, learner in taking_part[:1]:  # of several, compiling the first says it all
            tried.append(f"the loss of {name} on {PLACES[kind]}")
            why = _difference(learner)
            if why is not None:
                broken.append(f"on {PLACES[kind]} {why}")
    if not tried:
        return Law("one graph", _MEANING, "no part of it", ["it has no part in the forward pass"])
    return Law("one graph", _MEANING, "broken" if broken else "holds", broken or tried)


def _takes_part(learner: Learner, cls: type[Plugin]) -> bool:
    mine = [plugin for plugin in learner.plugins if type(plugin) is cls]
    seams = ("build", "penalty")
    return any(hasattr(plugin, seam) and plugin.overrides(seam) for plugin in mine for seam in seams)


def _difference(learner: Learner) -> str | None:
    loss = learner._loss  # what an update differentiates, penalties included
    batch = learner.objective.sample(torch.Generator().manual_seed(0))
    with torch.no_grad():
        target = loss(batch, None, True)
    buffers = copied(learner.model.state_dict())
    expected = _evaluated(loss, learner, batch, target)
    learner.model.load_state_dict(buffers)
    torch._dynamo.reset()
    try:
        with catch_warnings():  # dynamo's own are no matter of the plugin's
            simplefilter("ignore")
            compiled = torch.compile(loss, fullgraph=True, backend="aot_eager")
            found = _evaluated(compiled, learner, batch, target)
    except Exception as error:  # whatever dynamo makes of a graph it cannot have
        return f"{learner.name}'s loss breaks the graph: {_reason(error)}"
    finally:
        learner.model.load_state_dict(buffers)
        torch._dynamo.reset()
    for name in expected:
        if not near(found[name], expected[name], *_TOLERANCE):
            return f"compiled, {name} of {learner.name} is another"
    return None


def _evaluated(loss: Any, learner: Learner, batch: Any, target: Any) -> dict[str, torch.Tensor]:
    with seeded(0):
        losses, scalar = loss(batch, target, False)
        gradients = torch.autograd.grad(scalar, list(learner.params.values()), materialize_grads=True)
    return {"the loss": losses.detach(), "the scalar": scalar.detach()} | {
        f"the gradient of {name}": gradient for name, gradient in zip(learner.params, gradients, strict=True)
    }


def _reason(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    where = next((line for line in reversed(lines) if line.startswith("File ")), "")
    return f"{lines[0] if lines else type(error).__name__} {where}".strip()
