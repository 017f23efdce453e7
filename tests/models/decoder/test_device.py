"""Where a decoder runs: each choice, and the reason that goes with it."""

import pytest

from competition_utils.errors import UserError
from competition_utils.models.decoder.device import Machine, choose_device, look_at_machine, wants_unsloth

ALL = frozenset({"unsloth", "bitsandbytes"})
LAPTOP = Machine(packages=ALL)
H100 = Machine(1, "NVIDIA H100", (9, 0), 80.0, ALL)
T4 = Machine(1, "Tesla T4", (7, 5), 15.0, ALL)


def choose(machine, family="gemma3_text", **wishes):
    return choose_device(machine, family=family, **wishes)


def test_cpu_gets_float32_weights_eager_attention_and_transformers_without_4_bit():
    choice = choose(LAPTOP)
    assert (choice.device, choice.dtype, choice.backend, choice.load_in_4bit, choice.attn_implementation) == (
        "cpu",
        "float32",
        "transformers",
        False,
        "eager",
    )


def test_cuda_gets_unsloth_in_4_bit_and_bfloat16():
    choice = choose(H100)
    assert (choice.device, choice.dtype, choice.backend, choice.load_in_4bit) == (
        "cuda",
        "bfloat16",
        "unsloth",
        True,
    )


def test_cuda_without_unsloth_gets_transformers_with_sdpa():
    choice = choose(Machine(1, "NVIDIA H100", (9, 0), 80.0, frozenset({"bitsandbytes"})))
    assert (choice.backend, choice.attn_implementation, choice.load_in_4bit) == ("transformers", "sdpa", True)


def test_flash_attention_is_taken_where_it_is_installed():
    machine = Machine(1, "NVIDIA H100", (9, 0), 80.0, frozenset({"flash_attn"}))
    assert choose(machine).attn_implementation == "flash_attention_2"


@pytest.mark.parametrize(("family", "dtype"), [("gemma3", "float32"), ("gemma3_text", "float32"), ("qwen2", "float16")])
def test_gemma_3_never_runs_in_float16_which_it_overflows(family, dtype):
    assert choose(T4, family).dtype == dtype


def test_gemma_3_refuses_float16_even_when_asked():
    assert choose(H100, dtype="float16").dtype == "float32"


def test_wishes_are_taken_as_given():
    choice = choose(
        H100, device="cpu", backend="transformers", dtype="bfloat16", attn_implementation="eager", load_in_4bit=True
    )
    assert (choice.device, choice.dtype, choice.attn_implementation, choice.load_in_4bit) == (
        "cpu",
        "bfloat16",
        "eager",
        True,
    )


@pytest.mark.parametrize(
    ("machine", "wish", "word"),
    [
        (LAPTOP, {"device": "cuda"}, "CUDA"),
        (LAPTOP, {"backend": "unsloth"}, "unsloth"),
        (Machine(), {"load_in_4bit": True}, "bitsandbytes"),
    ],
)
def test_a_wish_that_cannot_be_met_is_an_error_that_names_it(machine, wish, word):
    with pytest.raises(UserError, match=word):
        choose(machine, **wish)


def test_unsloth_is_wanted_only_on_cuda():
    assert wants_unsloth(H100, "auto", "auto")
    assert not wants_unsloth(LAPTOP, "auto", "auto")
    assert not wants_unsloth(H100, "cpu", "auto")
    assert not wants_unsloth(H100, "auto", "transformers")


def test_every_choice_has_its_reason():
    text = str(choose(T4))
    assert all(word in text for word in ("Tesla T4", "Unsloth", "overflows float16", "4-bit", "attention"))


def test_this_machine_can_be_looked_at():
    assert look_at_machine().gpus >= 0
