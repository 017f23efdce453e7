"""Parts of a model: what counts as an edit, how edits come back, and what cannot travel."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import pytest

from competition_utils.errors import UserError
from competition_utils.models.parts import edits_of, part, refuse_to_send, source_of


@dataclass
class Config:
    rank: int = 16
    targets: set = field(default_factory=lambda: {"q", "k"})


def plain_loss(logits, scale=1.0):
    return logits * scale


def other_loss(logits):
    return logits + 1


class Fitter:
    def __init__(self, edits=None):
        self.given_edits = edits or {}

    @part
    def config(self):
        """An adapter."""
        return Config()

    @part
    def overrides(self):
        return {}

    @part
    def loss(self):
        return partial(plain_loss, scale=2.0)

    def step(self):
        return 1


def test_nothing_is_an_edit_until_a_part_is_changed():
    fitter = Fitter()
    fitter.config.targets = {"k", "q"}
    assert fitter.config.rank == 16
    assert edits_of(fitter) == {}


def test_a_field_changed_in_place_and_one_of_a_new_object_are_the_same_edit():
    changed, replaced = Fitter(), Fitter()
    changed.config.rank = 4
    replaced.config = Config(rank=4)
    assert edits_of(changed) == edits_of(replaced) == {"config": {"rank": 4}}


def test_edits_of_another_model_are_made_again_when_a_part_is_first_asked_for():
    edits = {"config": {"rank": 4}, "overrides": {"seed": 3}}
    fitter = Fitter(edits)
    assert edits_of(fitter) == edits  # known before the part exists
    assert fitter.config.rank == 4 and fitter.overrides == {"seed": 3}
    assert edits_of(fitter) == edits


def test_a_loss_is_known_by_its_source_and_by_what_is_fixed_of_its_arguments():
    replaced, fixed = Fitter(), Fitter()
    replaced.loss = other_loss
    fixed.loss = partial(plain_loss, scale=3.0)
    assert edits_of(replaced)["loss"]["source"] == source_of(other_loss)
    assert "# with scale=3.0" in edits_of(fixed)["loss"]["source"]


def test_a_replaced_step_is_an_edit_too():
    fitter = Fitter()
    fitter.step = other_loss
    assert edits_of(fitter)["step"]["source"] == source_of(other_loss)


def test_a_function_of_a_module_travels():
    fitter = Fitter()
    fitter.loss = other_loss
    refuse_to_send(edits_of(fitter))
    assert Fitter(edits_of(fitter)).loss is other_loss


def test_a_function_of_a_notebook_cannot_travel_and_the_error_says_what_to_do():
    def loss_of_a_cell(logits):
        return logits

    fitter = Fitter()
    fitter.loss = loss_of_a_cell
    with pytest.raises(UserError, match=r"loss: expected a function of a module(.|\n)*num_processes: 1"):
        refuse_to_send(edits_of(fitter))


def test_another_kind_of_object_is_refused():
    fitter = Fitter()
    fitter.config = None
    with pytest.raises(UserError, match="config: expected an object as the settings make it"):
        edits_of(fitter)
