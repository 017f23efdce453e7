"""Ray, where `--engine ray` asks for it."""

from __future__ import annotations

import os
from importlib.util import find_spec

from competition_utils.errors import UserError
from competition_utils.settings.schema import RaySettings


def start_ray() -> None:
    """Connect to the cluster that RAY_ADDRESS or a running Ray names, else start one on this machine.

    Raises UserError where Ray is not installed, or the cluster cannot be reached.
    """
    if find_spec("ray") is None:
        raise UserError('engine: ray expects the extra ray, which is not installed. Run: uv pip install -e ".[ray]"')
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # a run sends nothing anywhere
    import ray

    try:
        ray.init(ignore_reinit_error=True, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    except Exception as error:  # a node that does not come up is a plain one
        where, found = os.environ.get("RAY_ADDRESS", "this machine"), str(error).partition("\n")[0]
        raise UserError(f"engine: expected a Ray cluster at {where}, found: {found} See ray start --help.") from None


def most_workers(settings: RaySettings) -> int:
    """How many workers of these settings the cluster holds now, at least one (it may still grow)."""
    import ray

    has = ray.cluster_resources()
    wanted = {"CPU": settings.num_cpus, "GPU": settings.num_gpus, "memory": settings.memory}
    return max(1, int(min((has.get(name, 0) // count for name, count in wanted.items() if count), default=1)))
