"""SAC's update from pixels as one would write it by hand: what the assembled one is measured against.

It does the work of the preset `drq` and nothing more, and knows nothing of plastic's learner, evaluation, plugins and
layers. Replay and augmentation are plastic's own functions, so that the comparison isolates the assembly. The
benchmark first checks that the weights come out equal.
"""

import math
from copy import deepcopy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from plastic.agents.augmentation import random_shift, to_float
from plastic.agents.replay import Replay

LATENT, HIDDEN = 50, 256
LEARNING_RATE, TAU, SHIFT, ENTROPY = 3e-4, 0.005, 4, -0.5
CONSTANT = 0.5 * math.log(2 * math.pi) + 2 * math.log(2)


class Encoder(nn.Module):
    """The images are turned, so that a pixel before is a pixel after, where Flax pads."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, 32, 3, 2, 1)
        self.conv2 = nn.Conv2d(32, 64, 3, 2, 1)
        self.conv3 = nn.Conv2d(64, 128, 3, 2, 1)
        self.conv4 = nn.Conv2d(128, 256, 3, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv1(x.flip(-2, -1)))
        x = F.relu(self.conv2(x))
        x = F.relu(self.conv3(x))
        return F.relu(self.conv4(x)).flatten(1)


def trunk(features: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(features, LATENT), nn.LayerNorm(LATENT, eps=1e-6), nn.Tanh())


def mlp(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, HIDDEN), nn.ReLU(), nn.Linear(HIDDEN, outputs)
    )


class Critics(nn.Module):
    """Two critics of one encoder."""

    def __init__(self, channels: int, features: int, actions: int) -> None:
        super().__init__()
        self.encoder = Encoder(channels)
        self.trunk = trunk(features)
        self.first = mlp(LATENT + actions, 1)
        self.second = mlp(LATENT + actions, 1)

    def forward(self, features: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        x = torch.cat((self.trunk(features), action), 1)
        return self.first(x)[:, 0], self.second(x)[:, 0]


def gaussian(outputs: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    mean, raw = outputs.chunk(2, 1)
    log_deviation = torch.tanh(raw) * 6 - 4
    before = mean + log_deviation.exp() * noise
    density = -0.5 * noise.square() - log_deviation - CONSTANT - 2 * before + 4 * F.softplus(before, beta=2)
    return torch.tanh(before), density.sum(1)


class Loop:
    """Networks, targets, three optimizers, and a replay to learn from."""

    def __init__(self, replay: Replay, actions: int, batch: int) -> None:
        self.replay = replay
        self.batch = batch
        self.entropy = ENTROPY * actions
        channels, height, width = replay.observation_shape
        features = 256 * math.ceil(height / 16) * math.ceil(width / 16)
        self.critics = Critics(channels, features, actions)
        self.actor = nn.Sequential(trunk(features), mlp(LATENT, 2 * actions))
        self.log_alpha = torch.zeros((), requires_grad=True)
        self.target = deepcopy(self.critics).requires_grad_(False)
        self.critic_params: list[Tensor] = list(self.critics.parameters())
        self.target_params: list[Tensor] = list(self.target.parameters())
        self.actor_params = list(self.actor.parameters())
        self.critic_adam = torch.optim.Adam(self.critic_params, lr=LEARNING_RATE, fused=True)
        self.actor_adam = torch.optim.Adam(self.actor_params, lr=LEARNING_RATE, fused=True)
        self.alpha_adam = torch.optim.Adam([self.log_alpha], lr=LEARNING_RATE, fused=True)
        self.batches, self.draws, self.noises = torch.Generator(), torch.Generator(), torch.Generator()
        self.sums = torch.zeros(3)

    def update(self) -> None:
        batch = self.replay.sample(self.batch, 1.0, self.batches)
        images = to_float(random_shift(batch.observation, SHIFT, self.draws), channels_last=True)
        next_images = to_float(random_shift(batch.next_observation, SHIFT, self.draws), channels_last=True)
        noise = torch.randn(batch.action.shape, generator=self.draws)
        alpha = self.log_alpha.detach().exp()
        with torch.no_grad():
            action, density = gaussian(self.actor(self.critics.encoder(next_images)), noise)
            worth = torch.minimum(*self.target(self.target.encoder(next_images), action)) - alpha * density
            y = batch.returns + batch.discount * worth

        first, second = self.critics(self.critics.encoder(images), batch.action)
        critic_loss = F.mse_loss(first, y) + F.mse_loss(second, y)
        critic_loss.backward()
        self.critic_adam.step()
        self.critic_adam.zero_grad()
        with torch.no_grad():
            torch._foreach_lerp_(self.target_params, self.critic_params, TAU)
            features = self.critics.encoder(images)
            noise = torch.randn(batch.action.shape, generator=self.noises)

        action, density = gaussian(self.actor(features), noise)
        actor_loss = (alpha * density - torch.minimum(*self.critics(features, action))).mean()
        actor_loss.backward(inputs=self.actor_params)
        self.actor_adam.step()
        self.actor_adam.zero_grad()

        alpha_loss = (self.log_alpha.exp() * (-density.detach() - self.entropy)).mean()
        alpha_loss.backward()
        self.alpha_adam.step()
        self.alpha_adam.zero_grad()
        self.sums += torch.stack((critic_loss, actor_loss, alpha_loss)).detach()
