"""Versions of what a run's numbers depend on."""

from importlib.metadata import PackageNotFoundError, version

_PACKAGES = ("plastic-rl", "torch", "numpy", "gymnasium", "ale-py", "dm-control", "mujoco")


def versions() -> dict[str, str]:
    """By package, this one first."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found
