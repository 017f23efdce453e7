"""What a notebook shows of networks and trainers."""

import torch
from transformers import TrainingArguments

from competition_utils.models.inspection import argument_table, parameter_table


def test_layers_are_counted_together_and_the_frozen_part_of_them_is_one_row():
    network = torch.nn.Module()
    network.embed = torch.nn.Embedding(10, 4)
    network.layers = torch.nn.ModuleList([torch.nn.Linear(4, 4), torch.nn.Linear(4, 4)])
    network.requires_grad_(False)
    network.head = torch.nn.Linear(4, 1)
    table = parameter_table(network)
    assert table["parameters"].to_dict() == {"head": 5, "layers, frozen": 40, "embed": 40, "all": 85}
    assert table["trainable"].to_dict() == {"head": 5, "layers, frozen": 0, "embed": 0, "all": 5}
    assert table.loc["head", "share"] == 100


def test_both_matrices_of_an_adapter_are_one_row():
    sizes = {"lora_A": (8, 2), "lora_B": (2, 8)}
    matrices = {name: {"default": torch.nn.Linear(*size, bias=False)} for name, size in sizes.items()}
    network = torch.nn.Module()
    network.q_proj = torch.nn.ModuleDict({name: torch.nn.ModuleDict(one) for name, one in matrices.items()})
    assert parameter_table(network)["tensors"].to_dict() == {"q_proj, LoRA": 2, "all": 2}


def test_only_arguments_that_differ_from_the_defaults_are_listed(tmp_path):
    table = argument_table(TrainingArguments(output_dir=str(tmp_path), learning_rate=0.25, use_cpu=True))
    assert table.loc["learning_rate"].tolist() == ["0.25", "5e-05"]
    assert "output_dir" not in table.index and "weight_decay" not in table.index
