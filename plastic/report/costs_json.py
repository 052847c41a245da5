"""The costs of plugins for machines."""

import json
import os
import platform
from datetime import date
from pathlib import Path
from typing import Any

import torch
from attrs import asdict, fields

from plastic.bench.costs import Costs
from plastic.core.errors import RunError


def as_json(costs: Costs) -> dict[str, Any]:
    """Everything that was measured, the recipe it was measured with, and the machine."""
    assembly = costs.assembly
    measured = asdict(costs, filter=lambda field, value: field != fields(Costs).assembly)
    return {
        "date": str(date.today()),
        "machine": {
            "system": f"{platform.system()} {platform.machine()}",
            "cores": os.cpu_count(),
            "device": _device(assembly.recipe.device),
            "threads": assembly.settings.threads,
            "python": platform.python_version(),
            "torch": torch.__version__,
        },
        "recipe": assembly.recipe.toml(),
        "updates": assembly.clock.total.updates,
        "agent_steps": assembly.clock.total.agent_steps,
        **measured,
        "playing_hours": costs.playing_hours,
        "evaluation_hours": costs.evaluation_hours,
    }


def _device(name: str) -> str:
    return torch.cuda.get_device_name(torch.device(name)) if name.startswith("cuda") else name


def write(costs: Costs, path: Path) -> None:
    """Write it down, one file.

    Raises:
        RunError: If that fails.
    """
    try:
        path.write_text(json.dumps(as_json(costs), indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise RunError(f"cannot write {path}: {error.strerror}") from error
