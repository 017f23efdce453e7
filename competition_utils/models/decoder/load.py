"""Decoders and their adapters, from the Hub or a folder, ready to give two numbers a pair.

Whatever the objective, the model gives the logits of the two label words at one position a pair and nothing
else: the full output would be 262,144 columns at every position for Gemma 3.
"""

from __future__ import annotations

import copy
import functools
import gc
import os
import types
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from competition_utils.distributed import local_rank
from competition_utils.errors import UserError
from competition_utils.models.decoder.device import AUTO, DeviceChoice, choose_device, look_at_machine, wants_unsloth
from competition_utils.models.decoder.prompts import PromptWriter
from competition_utils.models.pretrained import PRETRAINED, resolve
from competition_utils.settings.schema import DecoderSettings

LABEL_ROWS = "label_rows.safetensors"
UNSLOTH_LORA = ("r", "lora_alpha", "lora_dropout", "bias", "use_rslora", "init_lora_weights")  # and target_modules
ADAPTER_FILES = ("adapter_config.json", "adapter_model.safetensors", LABEL_ROWS)
PARAMETER_LIMIT = 15e9  # the competition's rule
UNSLOTH_MAX_LENGTH = 2048  # rows are cut by prompts/writer.py; below 512 Unsloth gives its checkpointing up


@dataclass
class Decoder:
    """A model in memory and what it takes to use it."""

    model: Any
    tokenizer: Any
    writer: PromptWriter
    choice: DeviceChoice


def _without_widgets() -> None:
    """Transformers' bar over the weights is a widget, of which an executed notebook keeps an empty box. The Hub's
    bar stays: a download of gigabytes without one looks like a hang."""
    from huggingface_hub.utils import enable_progress_bars
    from transformers.utils import logging

    logging.disable_progress_bar()
    enable_progress_bars()


def find_config(name: str) -> Any:
    """The model's configuration; raises UserError where there is no such model or the Hub is out of reach."""
    from transformers import AutoConfig

    return _from_hub(AutoConfig.from_pretrained, name)


def load_tokenizer(name: str) -> Any:
    from transformers import AutoTokenizer

    tokenizer = _from_hub(AutoTokenizer.from_pretrained, name)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def _from_hub(load: Any, name: str, **options: Any) -> Any:
    try:
        return load(resolve(name), **options)
    except (UserError, RuntimeError):  # memory or device, which no other folder mends
        raise
    except Exception as error:  # tokenizers, safetensors and torch raise kinds of their own for damaged files
        first_line = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(
            f"model: expected {', '.join(PRETRAINED)}, a Hub name or a folder with config.json and weights, "
            f"found {name!r} ({first_line}). Check the spelling, log in to the Hub, or give a folder."
        ) from error


def prepare(settings: DecoderSettings) -> DeviceChoice:
    """Choose device and library for these settings on this machine, and import Unsloth where it is chosen: it
    must come before transformers, TRL and PEFT, which it patches."""
    machine = look_at_machine()
    if wants_unsloth(machine, settings.device, backend_wish(settings)):
        os.environ.setdefault("UNSLOTH_COMPILE_LOCATION", str(Path.home() / ".cache" / "unsloth_compiled_cache"))
        import unsloth  # noqa: F401
    _without_widgets()
    return choose_device(
        machine,
        family=find_config(settings.model_name_or_path).model_type,
        device=settings.device,
        dtype=settings.dtype,
        attn_implementation=settings.attn_implementation,
        load_in_4bit=settings.load_in_4bit,
        backend=backend_wish(settings),
    )


def backend_wish(settings: DecoderSettings) -> str:
    """The library to use: transformers for a sharded model, since Unsloth would load all of it on each GPU."""
    if settings.sharded and settings.backend == "unsloth":
        raise UserError("parallel: fsdp needs `backend: transformers`, found unsloth, which shards nothing.")
    return "transformers" if settings.sharded else settings.backend


def count_parameters(name: str) -> int:
    """Parameters of the text model, counted on the meta device: no weights are read."""
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(find_config(name).get_text_config())
    return sum(parameter.numel() for parameter in model.parameters())


def size_warning(name: str) -> str | None:
    """A sentence, which is a warning too, where the model is over the competition's 15 billion parameters."""
    count = count_parameters(name)
    if count <= PARAMETER_LIMIT:
        return None
    text = f"{name} has {count / 1e9:.1f} billion parameters; the competition allows 15"
    warnings.warn(text, stacklevel=2)
    return text


def quantization_config(choice: DeviceChoice, *, sharded: bool = False) -> Any:
    """transformers' configuration of 4-bit weights; None where they are not wanted."""
    if not choice.load_in_4bit:
        return None
    import torch
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=getattr(torch, choice.dtype),
        # FSDP shards floating-point storage only.
        bnb_4bit_quant_storage=getattr(torch, choice.dtype) if sharded else torch.uint8,
    )


def load_base(name: str, choice: DeviceChoice, quantization: Any = AUTO, *, sharded: bool = False) -> Any:
    """The text model with its weights frozen, in the number format of `choice`.

    `quantization` is a `BitsAndBytesConfig`, None, or "auto": as `choice` says. Unsloth makes its own.
    """
    quantization = quantization_config(choice, sharded=sharded) if quantization == AUTO else quantization
    own = choice.backend == "unsloth"
    model = _load_unsloth(name, choice) if own else _load_plain(name, choice, quantization, sharded)
    in_4bit = [module for module in model.modules() if type(module).__name__ == "Linear4bit"]
    if choice.load_in_4bit and getattr(quantization, "load_in_4bit", True) and not in_4bit:
        raise UserError(  # Unsloth loads 16 bits where bitsandbytes fails, and does not stop
            f"load_in_4bit: expected layers in 4 bits in {name}, found none. Mend the installation of bitsandbytes, "
            "which may lack its library for this CUDA (`python -m bitsandbytes`), or set `load_in_4bit: false`."
        )
    for module in in_4bit:
        # On a CPU with bf16 bitsandbytes packs them anew at the first scoring and rounds their scales to bf16: a fit
        # would go on with another base than it began with, and than it has when it is resumed.
        module.support_avx512bf16_for_cpu = False
    return model


def _load_unsloth(name: str, choice: DeviceChoice) -> Any:
    fast = _unsloth_loader(find_config(name).model_type)
    import torch

    source = resolve(name)
    text_only = {"text_only": True} if fast.__name__ == "FastModel" else {}
    model, _ = fast.from_pretrained(
        source,
        max_seq_length=UNSLOTH_MAX_LENGTH,
        load_in_4bit=choice.load_in_4bit,
        load_in_16bit=not choice.load_in_4bit,
        dtype=getattr(torch, choice.dtype),
        device_map={"": local_rank()},  # accelerate refuses a bare "cuda" here
        use_exact_model_name=True,
        offload_embedding=False,  # scoring and the trial step put their tensors where the label rows are
        local_files_only=Path(source).is_dir(),
        **text_only,
    )
    return model


def _unsloth_loader(family: str) -> Any:
    from unsloth import FastLanguageModel, FastModel

    return FastLanguageModel if family in ("qwen2", "qwen3", "llama", "mistral", "gemma2") else FastModel


def _load_plain(name: str, choice: DeviceChoice, quantization: Any, sharded: bool) -> Any:
    import torch
    from transformers import AutoModelForCausalLM, Gemma3ForCausalLM

    config = find_config(name)
    options = {} if quantization is None else {"quantization_config": quantization}
    if not sharded:
        options["device_map"] = {"": local_rank() if choice.device == "cuda" else "cpu"}
    loader = AutoModelForCausalLM
    if config.model_type == "gemma3":  # text and images: take the text part, whichever way its weights are named
        loader = Gemma3ForCausalLM
        options |= {"config": config.get_text_config(), "key_mapping": GEMMA3_TEXT_PART}
    model = _from_hub(
        loader.from_pretrained,
        name,
        dtype=getattr(torch, choice.dtype),
        attn_implementation=choice.attn_implementation,
        **options,
    )
    model.requires_grad_(False)
    return model


GEMMA3_TEXT_PART = {
    r"^language_model\.lm_head": "lm_head",
    r"^language_model\.model": "model",
    r"^model\.language_model": "model",
}


def lora_config(settings: DecoderSettings) -> Any:
    """PEFT's configuration of the adapter."""
    from peft import LoraConfig

    return LoraConfig(
        task_type="CAUSAL_LM",
        r=settings.lora_r,
        lora_alpha=settings.lora_alpha,
        lora_dropout=settings.lora_dropout,
        target_modules=list(settings.target_modules),
        bias="none",
    )


def add_adapter(model: Any, config: Any, choice: DeviceChoice, *, seed: int) -> Any:
    """Put fresh LoRA adapters of a PEFT `config` on `model`; B starts at zero, so the scores do not change yet."""
    if choice.backend == "unsloth":
        loader = _unsloth_loader(model.config.model_type)
        options = {name: getattr(config, name) for name in UNSLOTH_LORA} | {
            "target_modules": sorted(config.target_modules)
        }
        # Switched per fit by `set_checkpointing`, once the memory is known.
        return loader.get_peft_model(model, use_gradient_checkpointing=False, random_state=seed, **options)
    from peft import get_peft_model
    from transformers import set_seed

    set_seed(seed)  # PEFT draws A from torch's generator
    return get_peft_model(model, copy.deepcopy(config))


def free_memory() -> None:
    """Give GPU memory back that no living model holds; trainers refer to themselves, hence the collection."""
    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def base_of(model: Any) -> Any:
    """The causal language model inside PEFT's wrapper, or the model itself."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def give_label_logits(model: Any, label_ids: tuple[int, int], *, trained: bool) -> None:
    """Make `model(…, label_positions=…)` give float32 logits [pairs, 2] of the two label words.

    `label_positions` [pairs] counts through the flattened batch: the place of each pair's last token. The
    rows start as the output embedding of the label words, so a trained head starts where the prompt already
    points. Call it after the adapter is on, which freezes everything else.
    """
    import torch

    base = base_of(model)
    output = base.get_output_embeddings().weight
    rows = output[list(label_ids)].detach().to(torch.float32).clone()
    base.label_rows = torch.nn.Parameter(rows, requires_grad=trained)
    softcap = getattr(base.config.get_text_config(), "final_logit_softcapping", None)
    full_forward = base.forward

    @functools.wraps(type(base).forward)  # the Trainer reads the signature
    def forward(self: Any, *args: Any, label_positions: Any = None, **inputs: Any) -> Any:
        if label_positions is None:
            return full_forward(*args, **inputs)
        wanted = {name: inputs.get(name) for name in ("input_ids", "attention_mask", "position_ids")}
        seen = inputs.get("past_key_values")  # a beginning that all rows share
        hidden = getattr(self, self.base_model_prefix)(
            **wanted, past_key_values=seen, use_cache=False
        ).last_hidden_state
        picked = hidden.reshape(-1, hidden.shape[-1])[label_positions]
        with torch.autocast(picked.device.type, enabled=False):
            logits = picked.float() @ self.label_rows.T
            return {"logits": softcap * torch.tanh(logits / softcap) if softcap else logits}

    base.forward = types.MethodType(forward, base)


def set_checkpointing(model: Any, wanted: bool) -> None:
    """Switch gradient checkpointing of the base model on or off."""
    base = base_of(model)
    model._unsloth_gradient_checkpointing = wanted  # Unsloth's trainer switches to this whenever it starts
    base._unsloth_gradient_checkpointing = wanted
    if wanted:
        base.gradient_checkpointing_enable({"use_reentrant": False})
    elif base.is_gradient_checkpointing:
        base.gradient_checkpointing_disable()


def save_label_rows(model: Any, folder: Path, gathered: dict[str, Any] | None = None) -> None:
    """Write the label rows beside an adapter; `gathered` is the state of a sharded model, whose own are parts."""
    from safetensors.torch import save_file

    whole = [value for name, value in (gathered or {}).items() if name.endswith("label_rows")]
    rows = (whole[0] if whole else base_of(model).label_rows).detach().float().cpu().contiguous()
    save_file({"label_rows": rows}, str(folder / LABEL_ROWS))


def load_label_rows(model: Any, folder: Path) -> None:
    import torch
    from safetensors.torch import load_file

    with torch.no_grad():
        base_of(model).label_rows.copy_(load_file(str(folder / LABEL_ROWS))["label_rows"])


def load_adapter(model: Any, folder: Path) -> None:
    """Read adapter and label rows into a model that has both already, of the same shape.

    Raises UserError where there are none, or they are of another rank.
    """
    from peft import PeftConfig, set_peft_model_state_dict
    from peft.utils import load_peft_weights

    if not (folder / LABEL_ROWS).is_file():
        raise UserError(f"adapter: expected {folder / LABEL_ROWS}, found none. Give the folder of a fitted decoder.")
    found, expected = PeftConfig.from_pretrained(str(folder)).r, model.peft_config["default"].r
    if found != expected:
        raise UserError(f"adapter: expected rank {expected}, found {found} in {folder}. Set `lora_r: {found}`.")
    set_peft_model_state_dict(model, load_peft_weights(str(folder), device="cpu"))
    load_label_rows(model, folder)
