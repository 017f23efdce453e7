"""What a notebook shows of a model: its trainable parameters, and the arguments of its trainer."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import MISSING, fields
from enum import Enum
from typing import Any

import pandas as pd

from competition_utils.settings.schema import optimizer_steps

# Arguments that say where and not how, or follow from others.
LEFT_OUT = {"output_dir", "logging_dir", "run_name", "project", "hub_token", "accelerator_config", "debug", "do_eval"}
LEFT_OUT |= {"disable_tqdm", "greater_is_better", "dataset_kwargs"}
LAYER = re.compile(r"\.\d+\.")
PEFT_NAMES = re.compile(r"^base_model\.model\.|\.default(?=\.)|\.base_layer|\.weight$|\.bias$")


def parameter_table(network: Any) -> pd.DataFrame:
    """Parameters of a torch module by kind of module, all layers together: `tensors, parameters, trainable, share`.

    What is frozen of the layers is one row, LoRA's two matrices of a module another; `share` is the trainable part in
    percent. Sorted by trainable parameters, then by size; the last row is the sum.
    """
    rows = [
        (_module(name, one.requires_grad), _count(one), _count(one) * one.requires_grad)
        for name, one in network.named_parameters()
    ]
    table = pd.DataFrame(rows, columns=["module", "parameters", "trainable"])
    table = table.groupby("module").agg(
        tensors=("parameters", "size"), parameters=("parameters", "sum"), trainable=("trainable", "sum")
    )
    table = table.sort_values(["trainable", "parameters"], ascending=False)
    table.loc["all"] = table.sum()
    return table.assign(share=100 * table["trainable"] / table["parameters"])


def _module(name: str, trained: bool) -> str:
    name = PEFT_NAMES.sub("", LAYER.sub(".*.", name))
    if not trained:
        return name.partition(".*")[0] + (", frozen" if ".*" in name else "")
    return re.sub(r"\.lora_[AB]$", ", LoRA", name)


def _count(parameter: Any) -> int:
    """Numbers in a parameter; bitsandbytes packs two 4-bit ones into a byte."""
    packed = type(parameter).__name__ == "Params4bit"
    return parameter.numel() * (2 * parameter.element_size() if packed else 1)


def argument_table(arguments: Any) -> pd.DataFrame:
    """The arguments of a trainer that differ from the library's defaults: `argument, value, default`."""
    defaults = {one.name: _default(one) for one in fields(arguments) if one.init and one.name not in LEFT_OUT}
    return table_of_differences({name: getattr(arguments, name) for name in defaults}, defaults)


def table_of_differences(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> pd.DataFrame:
    """`value` and `default` of each name whose value is not its default, as texts."""
    changed = {name: (_shown(values[name]), _shown(defaults[name])) for name in values}
    rows = {name: pair for name, pair in changed.items() if pair[0] != pair[1]}
    return pd.DataFrame.from_dict(rows, orient="index", columns=["value", "default"]).rename_axis("argument")


def training_plan(trainer: Any) -> pd.Series:
    """Rows, batches and steps of a transformers trainer, read from it."""
    arguments, rows = trainer.args, len(trainer.train_dataset)
    batch = trainer.get_total_train_batch_size(arguments)
    steps = optimizer_steps(rows, batch, arguments.num_train_epochs, arguments.max_steps)
    every = arguments.eval_steps if arguments.eval_strategy != "no" else float("nan")
    return pd.Series(
        {
            "training rows": rows,
            "rows of an optimizer step": batch,
            "rows at once": arguments.per_device_train_batch_size,
            "epochs": round(steps * batch / rows, 2) if arguments.max_steps > 0 else arguments.num_train_epochs,
            "optimizer steps": steps,
            "warm-up steps": arguments.get_warmup_steps(steps),
            "steps between evaluations": round(every * steps) if every < 1 else every,
        },
        name="training",
        dtype=object,
    )


def _default(field: Any) -> Any:
    return field.default_factory() if field.default_factory is not MISSING else field.default


def _shown(value: Any) -> str:
    return str(value.value if isinstance(value, Enum) else value)


def tokenizer_table(tokenizer: Any) -> Any:
    """Class, vocabulary, special tokens and padding of a transformers tokenizer as a table; anything else as it is.

    Its own repr lists all added tokens, of which Gemma's has thousands.
    """
    special = getattr(tokenizer, "special_tokens_map", None)
    if special is None:
        return tokenizer
    facts = {
        "class": type(tokenizer).__name__,
        "vocabulary": f"{len(tokenizer):,} tokens",
        "special tokens": ", ".join(f"{name.removesuffix('_token')} {token}" for name, token in special.items()),
        "padding side": tokenizer.padding_side,
        "chat template": "yes" if tokenizer.chat_template else "none",
    }
    return pd.Series(facts, name="tokenizer").to_frame()
