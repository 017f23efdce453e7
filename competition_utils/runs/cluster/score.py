"""`score --engine ray`: the names of shards go through Ray Data to actors that have loaded the model once.

Rows do not go through Ray's object store. An actor reads a shard and writes its scores and receipt as one process
alone would, because Ray Data's own writer names its files by its blocks: an output file would not belong to an input
file, and neither resume by shard nor the order of rows would be left. So nothing is doubled either when Ray runs a
shard again whose node has died: it has the same name, and one that was finished is recognised.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from typing import Any

from competition_utils.errors import DataError, Fault, UserError
from competition_utils.runs.cluster.start import most_workers, start_ray
from competition_utils.runs.scoring.shards import Advance, Engine, Job, Shard, ShardScorer
from competition_utils.settings.schema import RaySettings


class ShardActor:
    """Lives on a node of the cluster, with one model; scores the shard whose number it is given."""

    def __init__(self, job: Job, shards: Sequence[Shard]):
        self.scorer, self.shards = ShardScorer(job), shards

    def __call__(self, row: dict[str, Any]) -> dict[str, Any]:
        shard, faults, error = self.shards[row["shard"]], [], ""
        try:
            if not self.scorer.job.is_done(shard):
                self.scorer.score(shard)
        except DataError as found:
            faults = [asdict(fault) for fault in found.faults]
        except UserError as found:
            error = str(found)
        return {"shard": row["shard"], "faults": json.dumps(faults), "error": error}


def score_on_ray(settings: RaySettings) -> Engine:
    """An engine for `score_shards`; see `RaySettings` for what an actor is given."""

    def score(job: Job, shards: Sequence[Shard], advance: Advance) -> list[Fault]:
        start_ray()
        import ray.data

        ray.data.DataContext.get_current().enable_progress_bars = False  # there is one already
        most = most_workers(settings) if settings.concurrency == "auto" else settings.concurrency
        actors = ray.data.ActorPoolStrategy(
            min_size=1, max_size=min(most, len(shards)), max_tasks_in_flight_per_actor=1
        )
        numbers = ray.data.from_items([{"shard": n} for n in range(len(shards))], override_num_blocks=len(shards))
        results = numbers.map(
            ShardActor,
            fn_constructor_args=(job, list(shards)),
            compute=actors,
            num_cpus=settings.num_cpus,
            num_gpus=settings.num_gpus,
            memory=settings.memory,
            max_task_retries=settings.max_retries,
        )
        try:
            return _collect(results.iter_rows(), shards, advance)
        except ray.exceptions.RayError as error:
            found = str(error).strip().splitlines()[0]
            todo = (
                "The finished shards stay, and the same command goes on behind them; give a worker more --ray memory."
            )
            raise UserError(f"engine: expected workers that stay alive, found: {found}. {todo}") from None

    return score


def _collect(results: Iterable[dict[str, Any]], shards: Sequence[Shard], advance: Advance) -> list[Fault]:
    """The faults of all shards; raises what an actor could not go on with."""
    faults: list[Fault] = []
    for result in results:
        if result["error"]:
            raise UserError(result["error"])
        faults += [Fault(**fault) for fault in json.loads(result["faults"])]
        advance(shards[result["shard"]].rows)
    return faults
