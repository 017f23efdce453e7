"""What a matrix of a sweep may say: configs, strategies, models, tasks and seeds, each with each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, model_validator

from competition_utils.settings.schema import Kind, Section, Text

# Settings that a list of the matrix gives, by the list's name.
LISTS = {"strategies": "strategy", "models": "model", "tasks": "task", "seeds": "seed"}


class MatrixSettings(Section):
    """A cell for each combination; an empty list leaves the configs' own."""

    section: ClassVar[str] = "matrix"

    configs: list[Text] = Field(min_length=1, description="names in configs/, or YAML files")
    strategies: list[Text] = Field([], description="names in configs/strategies, or YAML files of your own")
    models: list[Kind] = Field([], description="linear, encoder, decoder")
    tasks: list[Literal["QC", "QI", "all"]] = Field([], description="a cell for QC and one for QI, or one for all")
    seeds: list[Annotated[int, Field(ge=0, lt=2**31)]] = Field([], description="for every random choice")
    settings: dict[str, Any] = Field({}, description="settings over those of the configs, in every cell")
    equal_steps: bool = Field(False, description="every fit takes as many optimizer steps as one on the original rows")

    @model_validator(mode="after")
    def _fit_together(self) -> MatrixSettings:
        for name in ("configs", *LISTS):
            values = getattr(self, name)
            twice = next((value for value in values if values.count(value) > 1), None)
            if twice is not None:
                raise ValueError(f"{name}: expected each once, found {twice!r} twice")
        for name, setting in LISTS.items():
            if setting in self.settings:
                raise ValueError(f"settings.{setting}: expected it as {name}: [{self.settings[setting]}]")
        return self


def dotted(settings: Mapping[str, Any]) -> dict[str, Any]:
    """`{encoder: {max_steps: 9}}` as `{encoder.max_steps: 9}`, so that a section keeps its other settings."""
    flat: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping) and value and name != "left_out_settings":
            flat |= {f"{name}.{inner}": one for inner, one in value.items()}
        else:
            flat[str(name)] = value
    return flat
