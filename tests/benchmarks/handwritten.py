"""Rainbow's update as one would write it by hand for one purpose: what the assembled one is measured against.

It does the work of the agent's default preset (`drq`: 4x84x84 pixels, batch 32) and nothing more. Networks,
losses, optimizer step, target network and the order of all this are written out here and know nothing of
plastic's learner, evaluation, plugins and layers. Replay and augmentation are plastic's own functions, so that
the comparison isolates the assembly. The benchmark first checks that the weights come out equal.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from plastic.agents.augmentation import augment
from plastic.agents.replay import Replay

ATOMS, V_MIN, V_MAX = 51, -10.0, 10.0
BATCH, LEARNING_RATE, ADAM_EPS, CLIP, TAU = 32, 1e-4, 1.5e-4, 10.0, 0.01


class NoisyLinear(nn.Module):
    eps_in: Tensor
    eps_out: Tensor

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.empty(outputs, inputs).uniform_(-(inputs**-0.5), inputs**-0.5))
        self.w_sigma = nn.Parameter(torch.full((outputs, inputs), 0.5 * inputs**-0.5))
        self.b = nn.Parameter(torch.empty(outputs).uniform_(-(inputs**-0.5), inputs**-0.5))
        self.b_sigma = nn.Parameter(torch.full((outputs,), 0.5 * outputs**-0.5))
        self.register_buffer("eps_in", torch.zeros(inputs))
        self.register_buffer("eps_out", torch.zeros(outputs))

    def forward(self, x: Tensor) -> Tensor:
        w = torch.addcmul(self.w, self.w_sigma, torch.outer(self.eps_out, self.eps_in))
        return F.linear(x, w, torch.addcmul(self.b, self.b_sigma, self.eps_out))


class Network(nn.Module):
    def __init__(self, actions: int) -> None:
        super().__init__()
        self.actions = actions
        self.conv1 = nn.Conv2d(4, 32, 8, 4)
        self.conv2 = nn.Conv2d(32, 64, 4, 2)
        self.conv3 = nn.Conv2d(64, 64, 3, 1)
        self.value1 = NoisyLinear(3136, 512)
        self.value2 = NoisyLinear(512, ATOMS)
        self.advantage1 = NoisyLinear(3136, 512)
        self.advantage2 = NoisyLinear(512, actions * ATOMS)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        x = F.relu(self.conv3(x)).flatten(1)
        if x.requires_grad:
            x.register_hook(lambda gradient: gradient * 2**-0.5)
        v = self.value2(F.relu(self.value1(x))).view(-1, 1, ATOMS)
        a = self.advantage2(F.relu(self.advantage1(x))).view(-1, self.actions, ATOMS)
        logits: Tensor = v + a - a.mean(1, keepdim=True)
        return logits


class Loop:
    """A network, its target, Adam, and a replay to learn from."""

    def __init__(self, replay: Replay, actions: int) -> None:
        self.replay = replay
        self.net = Network(actions).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.target = Network(actions).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.target.load_state_dict(self.net.state_dict())
        self.target.requires_grad_(False)
        self.params = list(self.net.parameters())
        self.target_params = list(self.target.parameters())
        self.noise = [*self.net.buffers(), *self.target.buffers()]
        self.sizes = [noise.numel() for noise in self.noise]
        self.adam = torch.optim.Adam(self.params, lr=LEARNING_RATE, eps=ADAM_EPS, fused=True)
        self.z = torch.linspace(V_MIN, V_MAX, ATOMS)
        self.batches, self.noises, self.pixels = torch.Generator(), torch.Generator(), torch.Generator()
        self.loss_sum = torch.zeros(())

    def draw_noise(self) -> None:
        x = torch.randn(sum(self.sizes), generator=self.noises)
        x = x.sign() * x.abs().sqrt()
        torch._foreach_copy_(self.noise, list(x.split(self.sizes)))

    @torch.no_grad()
    def bootstrap(self, images: Tensor, returns: Tensor, discount: Tensor) -> Tensor:
        p = self.target(images).softmax(2)
        actions = (self.net(images).softmax(2) @ self.z).argmax(1)
        p = p[torch.arange(len(actions)), actions]
        b = (returns[:, None] + discount[:, None] * self.z).clamp(V_MIN, V_MAX)
        b = (b - V_MIN) * ((ATOMS - 1) / (V_MAX - V_MIN))
        nearness = (1 - (b[:, :, None] - torch.arange(ATOMS)).abs()).clamp(min=0)
        projected: Tensor = (nearness * p[:, :, None]).sum(1)
        return projected

    def update(self, beta: float) -> None:
        batch = self.replay.sample(BATCH, beta, self.batches)
        self.draw_noise()
        images = augment(batch.observation, self.pixels, channels_last=True)
        next_images = augment(batch.next_observation, self.pixels, channels_last=True)
        target = self.bootstrap(next_images, batch.returns, batch.discount)
        logits = self.net(images)[torch.arange(BATCH), batch.action]
        losses = -(target * logits.log_softmax(1)).sum(1)
        (batch.weight * losses).mean().backward()
        nn.utils.clip_grad_norm_(self.params, CLIP)
        self.adam.step()
        self.adam.zero_grad()
        with torch.no_grad():
            torch._foreach_lerp_(self.target_params, self.params, TAU)
            self.replay.set_priorities(batch.index, losses)
            self.loss_sum += losses.mean()
