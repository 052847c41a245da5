"""What is installed, as a command meets it."""

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from plastic.core.recipes.registry import Registry


def registry(warn: bool = True) -> "Registry":
    """Everything installed; a package that failed to load is named on standard error, and the rest works.

    Args:
        warn: False for a command that lists the failures itself.
    """
    from plastic.core.recipes.registry import Registry

    loaded = Registry().load()
    for package, why in loaded.broken.items() if warn else ():
        message = " ".join(f"the package {package} failed to load and is left out: {why}".split())
        print(f"plastic: warning: {message}", file=sys.stderr)
    return loaded
