"""Members evaluated together against each one by itself."""

import pickle
from copy import deepcopy

import pytest
import torch
from torch import Tensor, fx, nn
from torch.func import functional_call

from plastic.core.layers import EnsembleLinear, FanInUniform, Orthogonal


def alone(layer: EnsembleLinear) -> list[nn.Linear]:
    """Each member as PyTorch's own layer."""
    made = []
    for weight, bias in zip(layer.weight, layer.bias, strict=True):
        made.append(nn.Linear(layer.in_features, layer.out_features))
        made[-1].load_state_dict({"weight": weight, "bias": bias})
    return made


def gradients(output: Tensor, *of: Tensor) -> tuple[Tensor, ...]:
    weight = torch.arange(output.numel(), dtype=torch.float).view(output.shape).cos()
    return torch.autograd.grad((output * weight).sum(), of)


@pytest.mark.parametrize("shape", [(7, 5), (7, 3, 5), (1, 5), (1, 3, 5)])
def test_it_is_its_members_one_by_one(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    layer = EnsembleLinear(3, 5, 4)
    x = torch.randn(shape, requires_grad=True)
    members = alone(layer)
    inputs = [x] * 3 if x.dim() == 2 else x.unbind(1)
    expected = torch.stack([member(own) for member, own in zip(members, inputs, strict=True)], 1)
    assert layer(x).shape == (shape[0], 3, 4)
    torch.testing.assert_close(layer(x), expected)
    together = gradients(layer(x), x, layer.weight, layer.bias)
    apart = gradients(expected, x, *(parameter for member in members for parameter in member.parameters()))
    torch.testing.assert_close(together[0], apart[0])
    torch.testing.assert_close(together[1], torch.stack(apart[1::2]))
    torch.testing.assert_close(together[2], torch.stack(apart[2::2]))


def mlp(members: int) -> nn.Sequential:
    layers = [EnsembleLinear(members, 6, 8), nn.ReLU(), EnsembleLinear(members, 8, 8), nn.Tanh()]
    return nn.Sequential(*layers, EnsembleLinear(members, 8, 1))


def test_a_network_of_them_is_its_members_one_by_one() -> None:
    torch.manual_seed(0)
    model, x = mlp(2), torch.randn(9, 6, requires_grad=True)
    networks = []
    for number in range(2):
        layers = [alone(module)[number] if isinstance(module, EnsembleLinear) else module for module in model]
        networks.append(nn.Sequential(*layers))

    def apart() -> Tensor:
        return torch.stack([network(x) for network in networks], 1)

    torch.testing.assert_close(model(x), apart())
    together = gradients(model(x), x, *model.parameters())
    torch.testing.assert_close(together[0], gradients(apart(), x)[0])
    for gradient, *own in zip(together[1:], *(list(network.parameters()) for network in networks), strict=True):
        torch.testing.assert_close(gradient, torch.stack(gradients(apart(), *own)))


def test_nothing_is_copied_between_layers_and_gradients_lie_as_parameters_do() -> None:
    model, x = mlp(2), torch.randn(9, 6)
    values = x
    for module in model:
        before, values = values, module(values)
        if before.dim() == 3:
            assert before.permute(1, 2, 0).is_contiguous()
        assert values.permute(1, 2, 0).is_contiguous()
    assert all(gradient.is_contiguous() for gradient in gradients(model(x), *model.parameters()))


def test_members_start_as_that_many_torch_layers_in_a_row() -> None:
    torch.manual_seed(0)
    layer = EnsembleLinear(3, 5, 4)
    torch.manual_seed(0)
    for number in range(3):
        expected = nn.Linear(5, 4)
        assert torch.equal(layer.weight[number], expected.weight)
        assert torch.equal(layer.bias[number], expected.bias)


def test_each_member_is_orthogonal_by_itself_and_again_when_drawn_anew() -> None:
    layer = EnsembleLinear(2, 6, 4, Orthogonal(2.0))
    first = layer.weight.detach().clone()
    layer.reset_parameters()
    assert not torch.equal(first, layer.weight)
    for weight in (*first, *layer.weight.detach()):
        torch.testing.assert_close(weight @ weight.T, 4 * torch.eye(4))
    assert not layer.bias.any()


def test_it_is_a_leaf_for_tracing_works_as_a_function_and_can_be_copied() -> None:
    class Tracer(fx.Tracer):
        def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
            return isinstance(m, EnsembleLinear) or super().is_leaf_module(m, module_qualified_name)

    model, x = mlp(2), torch.randn(4, 6)
    traced = fx.GraphModule(model, Tracer().trace(model))
    assert [node.op for node in traced.graph.nodes].count("call_module") == 5
    assert torch.equal(traced(x), model(x))
    doubled = {name: 2 * parameter for name, parameter in model.named_parameters()}
    other = deepcopy(model)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(2)
    assert torch.equal(functional_call(model, doubled, (x,)), other(x))
    assert torch.equal(pickle.loads(pickle.dumps(model))(x), model(x))
    assert not torch.equal(other(x), model(x))


def test_it_prints_as_torch_layers_do() -> None:
    layer = EnsembleLinear(2, 3, 4)
    assert repr(layer) == "EnsembleLinear(members=2, in_features=3, out_features=4, init=FanInUniform())"
    assert layer.init == FanInUniform()
