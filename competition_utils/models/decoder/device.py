"""Where a decoder runs: device, number format, attention and library, chosen in one place that says why."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from importlib.util import find_spec

from competition_utils.errors import UserError

AUTO = "auto"
OPTIONAL_PACKAGES = ("unsloth", "bitsandbytes", "flash_attn")


@dataclass(frozen=True)
class Machine:
    """What matters of the machine: `capability` is CUDA's compute capability, `memory_gib` that of the first
    GPU; `unusable_gpu` names a card that the driver sees and torch does not."""

    gpus: int = 0
    gpu_name: str = ""
    capability: tuple[int, int] = (0, 0)
    memory_gib: float = 0.0
    packages: frozenset[str] = frozenset()
    unusable_gpu: str = ""


@dataclass(frozen=True)
class DeviceChoice:
    """`dtype` is a torch name; `attention` is transformers' name, "" where Unsloth decides; `why` are
    sentences."""

    device: str
    dtype: str
    attn_implementation: str
    load_in_4bit: bool
    backend: str
    why: tuple[str, ...]

    @property
    def merges_adapter(self) -> bool:
        """Whether scoring merges the adapter into the weights: in 16 bits on a GPU, where that is most worth."""
        return self.device == "cuda" and not self.load_in_4bit

    def __str__(self) -> str:
        return "; ".join(self.why)


def look_at_machine() -> Machine:
    """What torch and the installed packages say; imports neither Unsloth nor transformers."""
    import torch

    packages = frozenset(name for name in OPTIONAL_PACKAGES if find_spec(name))
    if not torch.cuda.is_available():
        return Machine(packages=packages, unusable_gpu=_gpu_of_the_driver())
    facts = torch.cuda.get_device_properties(0)
    return Machine(
        torch.cuda.device_count(),
        facts.name,
        (facts.major, facts.minor),
        facts.total_memory / 2**30,
        packages,
    )


def _gpu_of_the_driver() -> str:
    """The first card that nvidia-smi names, "" where there is none or the user hides them from torch."""
    hidden = os.environ.get("CUDA_VISIBLE_DEVICES", "0").strip() in ("", "-1")
    if hidden or shutil.which("nvidia-smi") is None:
        return ""
    try:
        done = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip().splitlines()[0] if done.returncode == 0 and done.stdout.strip() else ""


def choose_device(
    machine: Machine,
    *,
    family: str,
    device: str = AUTO,
    dtype: str = AUTO,
    attn_implementation: str = AUTO,
    load_in_4bit: bool | str = AUTO,
    backend: str = AUTO,
) -> DeviceChoice:
    """Choose for one machine and one model family (`config.model_type`); anything but "auto" is taken as
    given.

    Raises UserError where a wish cannot be met, e.g. Unsloth without CUDA.
    """
    device, why_device = _choose_place(machine, device)
    backend, why_backend = _choose_backend(machine, device, backend)
    dtype, why_dtype = _choose_dtype(machine, device, dtype, family)
    load_in_4bit, why_four_bit = _choose_four_bit(machine, device, load_in_4bit)
    attn_implementation, why_attention = _choose_attention(machine, device, backend, attn_implementation, dtype)
    why = (why_device, why_backend, why_dtype, why_four_bit, why_attention)
    return DeviceChoice(device, dtype, attn_implementation, load_in_4bit, backend, why)


def wants_unsloth(machine: Machine, device: str, backend: str) -> bool:
    """Whether the choice falls on Unsloth, known before anything of the model is read: it must be imported
    first."""
    return _choose_backend(machine, _choose_place(machine, device)[0], backend)[0] == "unsloth"


def _choose_place(machine: Machine, wish: str) -> tuple[str, str]:
    if wish != "cpu" and machine.unusable_gpu:
        import torch

        raise UserError(
            f"device: expected that torch can use {machine.unusable_gpu}, found that torch {torch.__version__}, built "
            f"for CUDA {torch.version.cuda or 'none'}, sees no GPU: most often the driver is too old for it. Update "
            "the driver, install a torch for the driver's CUDA, or set `device: cpu`."
        )
    if wish == "cuda" and not machine.gpus:
        raise UserError("device: expected a CUDA GPU, found none. Set `device: auto`, or use a machine with one.")
    if wish == "cpu" or not machine.gpus:
        return "cpu", "on the CPU, " + ("as asked" if wish == "cpu" else "no CUDA GPU was found")
    return "cuda", f"on {machine.gpu_name} with {machine.memory_gib:.0f} GiB ({machine.gpus} of them)"


def _choose_backend(machine: Machine, device: str, wish: str) -> tuple[str, str]:
    if wish == "unsloth" and (device != "cuda" or "unsloth" not in machine.packages):
        found = "no package unsloth" if device == "cuda" else f"device {device}"
        raise UserError(
            f"backend: unsloth needs CUDA and its package, found {found}. "
            "Set `backend: transformers`, which fits the same adapters."
        )
    if wish != AUTO:
        return wish, f"through {wish}, as asked"
    if device == "cuda" and "unsloth" in machine.packages:
        return "unsloth", "through Unsloth, the fastest on CUDA"
    return "transformers", "through transformers and PEFT, since Unsloth needs CUDA and its package"


def _choose_dtype(machine: Machine, device: str, wish: str, family: str) -> tuple[str, str]:
    no_bf16 = device == "cuda" and machine.capability < (8, 0)
    if family.startswith("gemma3") and (wish == "float16" or (wish == AUTO and no_bf16)):
        return "float32", (
            "float32, since Gemma 3 overflows float16 and the card has no bfloat16; there Qwen 2.5, which runs in "
            "float16, or a smaller Gemma 3 is several times faster"
            if no_bf16
            else "float32, since Gemma 3 overflows float16"
        )
    if wish != AUTO:
        return wish, f"{wish}, as asked"
    if device == "cpu":
        return "float32", "weights in float32"
    if no_bf16:
        return "float16", "float16, since cards before Ampere have no bfloat16"
    return "bfloat16", "bfloat16"


def _choose_four_bit(machine: Machine, device: str, wish: bool | str) -> tuple[bool, str]:
    installed = "bitsandbytes" in machine.packages
    if wish is True and not installed:
        raise UserError(
            "load_in_4bit: expected the package bitsandbytes, found none. Install it or set `load_in_4bit: false`."
        )
    if wish != AUTO:
        return bool(wish), "4-bit nf4, as asked" if wish else "16-bit or more, as asked"
    if device == "cuda" and installed:
        return True, "4-bit nf4, a quarter of the memory"
    return False, "not in 4-bit, which pays on CUDA only"


def _choose_attention(machine: Machine, device: str, backend: str, wish: str, dtype: str) -> tuple[str, str]:
    if backend == "unsloth":
        return "", "attention as Unsloth picks it (flex attention for Gemma 3, which it refuses SDPA for)"
    if wish != AUTO:
        return wish, f"{wish} attention, as asked"
    if device == "cpu":
        return "eager", "eager attention, the fastest on a CPU for short prompts"
    if "flash_attn" in machine.packages and dtype in ("bfloat16", "float16") and machine.capability >= (8, 0):
        return "flash_attention_2", "flash attention 2"
    return "sdpa", "PyTorch's own attention (SDPA)"
