"""Unsloth without a GPU: its own loader, patches and generated trainer, on a CPU, to test our calls of it.

Unsloth refuses to load where torch sees no accelerator. Its own switch for continuous integration (`UNSLOTH_ALLOW_CPU`)
loads it, but leaves TRL alone; here TRL is patched as on a GPU, and what asks for the card gets an answer. Call
`pretend_a_gpu` first thing in a process of its own: it changes torch, transformers, TRL and PEFT for good.
"""

import os
import sys
from types import ModuleType, SimpleNamespace

GIB = 2**30
SWITCHES = {
    "UNSLOTH_COMPILE_DISABLE": "1",  # compiling takes minutes on a CPU
    "UNSLOTH_BLOCK_COMPILE": "0",
    "UNSLOTH_ENABLE_FLEX_ATTENTION": "0",
    "UNSLOTH_DISABLE_STATISTICS": "1",
    "UNSLOTH_AUTO_INSTALL": "0",
}


def pretend_a_gpu(*, bfloat16: bool = True) -> None:
    """Import Unsloth as if there were a card, with bfloat16 or, like a T4, without. ImportError where it has none."""
    os.environ |= SWITCHES | {"UNSLOTH_ALLOW_CPU": "1"}
    _answer_for_the_card(bfloat16)
    import unsloth  # noqa: F401

    _patch_trl()
    _stay_on_the_cpu()
    set_bfloat16(bfloat16)


def set_bfloat16(supported: bool) -> None:
    """Whether the card knows bfloat16; what Unsloth noted at its import is changed too."""
    import torch

    def answer(*_, **__) -> bool:
        return supported

    torch.cuda.is_bf16_supported = answer
    for module in _unsloth_modules():
        for name in {"is_bfloat16_supported", "device_is_bf16_supported"} & set(vars(module)):
            setattr(module, name, answer)
        if "SUPPORTS_BFLOAT16" in vars(module):
            module.SUPPORTS_BFLOAT16 = supported


def _answer_for_the_card(bfloat16: bool) -> None:
    import torch

    capability = (9, 0) if bfloat16 else (7, 5)
    card = SimpleNamespace(
        name="pretended card", total_memory=80 * GIB, major=capability[0], minor=capability[1], warp_size=32,
        multi_processor_count=132, max_threads_per_multi_processor=2048, gcnArchName="", is_integrated=0,
    )  # fmt: skip
    answers = {
        "get_device_properties": card,
        "get_device_capability": capability,
        "get_device_name": card.name,
        "mem_get_info": (70 * GIB, 80 * GIB),
        "current_device": 0,
        "is_bf16_supported": bfloat16,
    }
    for name, answer in answers.items():
        setattr(torch.cuda, name, lambda *_, _answer=answer, **__: _answer)


def _patch_trl() -> None:
    """What Unsloth does at its import where it finds a GPU."""
    os.environ["UNSLOTH_ALLOW_CPU"] = "0"
    from unsloth.context_parallel import patch_sft_trainer
    from unsloth.models.rl import PatchFastRL
    from unsloth.trainer import _patch_trl_trainer

    PatchFastRL()
    _patch_trl_trainer()
    patch_sft_trainer()
    os.environ["UNSLOTH_ALLOW_CPU"] = "1"


class _NoEvent:
    """For torch.cuda.Event: on a CPU nothing runs beside the program."""

    def record(self, *_) -> None: ...

    def wait(self, *_) -> None: ...


def _stay_on_the_cpu() -> None:
    """Let models load to the CPU, quantise there, and let offloaded checkpoints use ordinary memory."""
    import torch
    from unsloth_zoo import gradient_checkpointing

    gradient_checkpointing._new_host_buffer = lambda _, dtype: torch.empty(16, dtype=dtype)
    gradient_checkpointing._double_buffer_event_ctor = lambda: _NoEvent
    gradient_checkpointing._visible_device_count = lambda: 1
    for module in _unsloth_modules():
        if "get_current_device" in vars(module):
            module.get_current_device = lambda: "cpu"
        if "ALLOW_BITSANDBYTES" in vars(module):
            module.ALLOW_BITSANDBYTES = True


def _unsloth_modules() -> list[ModuleType]:
    return [module for name, module in sys.modules.items() if name.split(".")[0] in ("unsloth", "unsloth_zoo")]


def replace_qwens_kernels() -> None:
    """Plain torch in place of the Triton kernels of Unsloth's Qwen 2: norm and rotary embedding. float32 only."""
    import torch
    from unsloth.models import llama, qwen2

    def norm(layer, x, **_):
        return layer.weight * torch.nn.functional.rms_norm(x, x.shape[-1:], eps=layer.variance_epsilon)

    def half_turned(x):
        left, right = x.chunk(2, dim=-1)
        return torch.cat([-right, left], dim=-1)

    def rotate(q, k, cos, sin, rope_indices=None):
        if rope_indices is None:
            cos, sin = cos[None, None, : q.shape[2]], sin[None, None, : q.shape[2]]
        else:
            cos, sin = cos[rope_indices.long()][:, None], sin[rope_indices.long()][:, None]
        return q * cos + half_turned(q) * sin, k * cos + half_turned(k) * sin

    class Angles(torch.nn.Module):
        """Cosines and sines [places, size] of the rotary embedding."""

        def __init__(self, *_, config=None, **__):
            super().__init__()
            self.size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
            self.theta = config.rope_parameters["rope_theta"]

        def extend_rope_embedding(self, *_, **__) -> None: ...

        def get_cached(self, *_, **__):
            # Not before: models are made on the meta device.
            speeds = self.theta ** -(torch.arange(0, self.size, 2) / self.size)
            angles = torch.outer(torch.arange(2048.0), speeds).repeat(1, 2)
            return angles.cos(), angles.sin()

    llama.fast_rms_layernorm, llama.fast_rope_embedding, qwen2.LlamaRotaryEmbedding = norm, rotate, Angles
