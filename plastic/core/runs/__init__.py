"""A run from its first step to its last: the loop, its folder, checkpoints and evaluations."""
