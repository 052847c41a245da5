"""The replay: every frame kept once, n-step returns, and draws by priority."""

from plastic.agents.replay.replay import Batch, Replay

__all__ = ["Batch", "Replay"]
