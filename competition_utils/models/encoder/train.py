"""The training loop of the encoder: exact resume after a kill, and a second try when a fit collapses."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from sklearn.metrics import roc_auc_score
from torch.nn.attention import SDPBackend, sdpa_kernel

from competition_utils.models.base import FitReport
from competition_utils.models.scoring.batching import shuffled_batches
from competition_utils.progress import progress
from competition_utils.settings.schema import EncoderSettings
from competition_utils.storage import atomic_write

CHECKPOINT_SECONDS = 60


@dataclass(frozen=True)
class TrainingPlan:
    """All that a fit needs. `loss(network, rows)` gives the mean loss of training rows; `lengths` [n] are their
    token counts; `score_valid(network)` gives the scores of the validation rows."""

    settings: EncoderSettings
    new_network: Callable[[int], torch.nn.Module]
    loss: Callable[[torch.nn.Module, np.ndarray], torch.Tensor]
    lengths: np.ndarray
    score_valid: Callable[[torch.nn.Module], np.ndarray]
    valid_labels: np.ndarray

    @property
    def steps_an_epoch(self) -> int:
        return -(-len(self.lengths) // self.settings.total_batch_size)

    @property
    def steps(self) -> int:
        return max(1, round(self.settings.num_train_epochs * self.steps_an_epoch))

    def evaluated_after(self, step: int) -> bool:
        """Every `eval_steps` steps, or after each such share of them; the last time at the end."""
        every = self.settings.eval_steps
        parts = round(1 / every) if every < 1 else max(1, round(self.steps / every))
        return step in {round(self.steps * part / parts) for part in range(1, parts + 1)}


def fit_with_retry(plan: TrainingPlan, work_dir: Path, seed: int) -> tuple[torch.nn.Module, FitReport]:
    """Fit; when validation AUC ends near chance, say so and fit once more, from another seed at half the rate.

    Small encoders collapse on some seeds. The better of the two fits is kept.
    """
    network, report = _fit_once(plan, work_dir / "try1.safetensors", seed)
    auc = report.history[-1]["valid_auc"]
    if auc >= plan.settings.collapse_auc:
        return network, report
    gentler = plan.settings.model_copy(update={"learning_rate": plan.settings.learning_rate / 2})
    second, report_2 = _fit_once(replace(plan, settings=gentler), work_dir / "try2.safetensors", seed + 1)
    auc_2 = report_2.history[-1]["valid_auc"]
    told = (
        f"the fit with seed {seed} collapsed (validation AUC {auc:.3f}, below {plan.settings.collapse_auc}); tried "
        f"once more with seed {seed + 1} and half the learning rate: {auc_2:.3f}"
    )
    kept, kept_report = (second, report_2) if auc_2 > auc else (network, report)
    kept_report.seconds = report.seconds + report_2.seconds
    kept_report.notes.append(told)
    if max(auc, auc_2) < plan.settings.collapse_auc:
        kept_report.notes.append("both fits are near chance: lower encoder.learning_rate or give more rows")
    return kept, kept_report


class _Checkpoint:
    """One file with network, optimizer, random state, step and report; `resume` puts them back exactly."""

    def __init__(self, path: Path, network: torch.nn.Module, optimizer: torch.optim.Optimizer):
        self.path, self.network, self.optimizer = path, network, optimizer
        self.written = time.monotonic()

    def write(self, step: int, losses: list[float], report: FitReport) -> None:
        tensors = {f"network.{name}": value.contiguous() for name, value in self.network.state_dict().items()}
        for number, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{number}.{name}": value for name, value in state.items()}
        tensors["random"] = torch.get_rng_state()
        progress_made = {"step": step, "losses": losses, "report": report.as_dict()}
        with atomic_write(self.path) as beside:
            save_file(tensors, beside, metadata={"progress": json.dumps(progress_made)})
        self.written = time.monotonic()

    def resume(self, seed: int) -> tuple[int, list[float], FitReport]:
        """The step to go on from, the losses since the last evaluation, the report so far."""
        if not self.path.is_file():
            return 0, [], FitReport(seed=seed)
        with safe_open(self.path, framework="pt") as stored:
            progress_made = json.loads(stored.metadata()["progress"])
            tensors = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118 - not a dict
        torch.set_rng_state(tensors.pop("random"))
        network, states = {}, {}
        for name, value in tensors.items():
            owner, rest = name.split(".", 1)
            if owner == "network":
                network[rest] = value
            else:
                number, key = rest.split(".")
                states.setdefault(int(number), {})[key] = value
        self.network.load_state_dict(network)
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": states, "param_groups": groups})
        return progress_made["step"], progress_made["losses"], FitReport(**progress_made["report"])


def _rate(settings: EncoderSettings, step: int, steps: int) -> float:
    """Linear warm-up, then linear decay to zero."""
    warmup = max(1, round(settings.warmup_ratio * steps))
    return settings.learning_rate * min((step + 1) / warmup, (steps - step) / max(1, steps - warmup))


def _batches(plan: TrainingPlan, seed: int, first_step: int) -> Iterator[np.ndarray]:
    """The batches from `first_step` on, the same ones that an unbroken fit would see."""
    for start in range(0, plan.steps, plan.steps_an_epoch):
        if start + plan.steps_an_epoch > first_step:
            rng = np.random.default_rng([seed, start])
            epoch = list(shuffled_batches(plan.lengths, plan.settings.total_batch_size, rng))
            yield from epoch[max(0, first_step - start) : plan.steps - start]


def _fit_once(plan: TrainingPlan, path: Path, seed: int) -> tuple[torch.nn.Module, FitReport]:
    network = plan.new_network(seed)
    trainable = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trainable, weight_decay=plan.settings.weight_decay, fused=True)
    checkpoint = _Checkpoint(path, network, optimizer)
    step, losses, report = checkpoint.resume(seed)
    start = time.monotonic() - report.seconds
    with progress(total=plan.steps, what="fitting", unit="steps") as bar:
        bar.update(step)
        for rows in _batches(plan, seed, step):
            optimizer.param_groups[0]["lr"] = _rate(plan.settings, step, plan.steps)
            losses.append(_train_step(plan, network, optimizer, rows))
            step += 1
            bar.update(1)
            report.seconds = time.monotonic() - start
            if plan.evaluated_after(step):
                report.history.append(_evaluate(plan, network, step, losses))
                losses = []
                bar.set_postfix(loss=report.history[-1]["loss"], auc=report.history[-1]["valid_auc"])
            if step == plan.steps or time.monotonic() - checkpoint.written > CHECKPOINT_SECONDS:
                checkpoint.write(step, losses, report)
    return network, report


def _train_step(plan: TrainingPlan, network, optimizer, rows: np.ndarray) -> float:
    network.train()
    # torch's flash attention on a CPU is fast forward and slow backward; the plain kernel wins for short pairs.
    kernel = sdpa_kernel(SDPBackend.MATH if next(network.parameters()).device.type == "cpu" else list(SDPBackend))
    with kernel:
        loss = plan.loss(network, rows)
        loss.backward()
    torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()
    return loss.item()


def _evaluate(plan: TrainingPlan, network, step: int, losses: list[float]) -> dict[str, float]:
    auc = roc_auc_score(plan.valid_labels, plan.score_valid(network))
    return {
        "step": step,
        "epoch": round(step / plan.steps_an_epoch, 3),
        "loss": round(float(np.mean(losses)), 5),
        "valid_auc": round(float(auc), 5),
    }
