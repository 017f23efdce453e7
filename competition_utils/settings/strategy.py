"""The settings of a strategy's steps, one pydantic model a step: defaults, ranges and what each is for.

A strategy is a YAML file (`configs/strategies/`):

    description: Original rows and translations into the languages that train lacks.
    steps:
      - step: expand_languages
        cap: 0.5
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Annotated, Any, ClassVar, Literal, Self, get_args

from pydantic import Field, ValidationError, model_validator

from competition_utils.errors import UserError
from competition_utils.settings.faults import did_you_mean, fault_lines
from competition_utils.settings.renamed import Renaming
from competition_utils.settings.schema import Section, Text, Whole

Share = Annotated[float, Field(ge=0, le=1)]
Cosine = Annotated[float, Field(ge=-1, le=2)]  # above 1: no limit
Weight = Annotated[float, Field(ge=0, le=1000)]
Action = Literal["report", "down_weight", "drop"]
Attribute = Literal["colour", "size", "audience", "material", "number", "code"]


class Step(Section):
    """What all steps have in common: `step` names the function that reads the other fields."""

    step: str

    @property
    def parameters(self) -> dict[str, Any]:
        """All settings but the name, defaults filled in."""
        return self.model_dump(exclude={"step"})

    def but(self, **changes: Any) -> Self:
        """The same step with other values, checked as those of a file are; raises UserError."""
        try:
            return type(self).model_validate({**self.model_dump(), **changes})
        except ValidationError as error:
            raise UserError("\n".join(f"{self.step}.{line}" for line in fault_lines(error, type(self)))) from None


class ExpandLanguages(Step):
    """Translate queries of train into other languages and append the rows."""

    section: ClassVar[str] = "expand_languages"
    step: Literal["expand_languages"] = "expand_languages"
    languages: list[Text] | None = Field(None, description="wanted ones; null: those of dev and test train lacks")
    rows_per_language: Whole | None = Field(None, description="null: as many as train's languages have on average")
    cap: float = Field(0.5, ge=0, description="most created rows, as a share of the original ones")
    min_confidence: Share = Field(0.8, description="gate: least confidence of the translator")
    min_round_trip: Share = Field(0.5, description="gate: least share of words that come back")
    weight: Weight = Field(1.0, description="weight of a created row in a fit")


class TranslateTitles(Step):
    """For QI: put the English title of some rows into the language of the query."""

    section: ClassVar[str] = "translate_titles"
    step: Literal["translate_titles"] = "translate_titles"
    share: Share = Field(0.1, description="rows copied of each language other than English, as a share")
    min_confidence: Share = Field(0.75, description="gate: least confidence of the translator")
    weight: Weight = Field(1.0, description="weight of a created row in a fit")


class SemanticNegatives(Step):
    """Append negatives: positive rows of the files with another target and label 0."""

    section: ClassVar[str] = "semantic_negatives"
    renamed: ClassVar[dict[str, Renaming]] = {"guard": "max_similarity", "query_guard": "max_query_similarity"}
    step: Literal["semantic_negatives"] = "semantic_negatives"
    band: Literal["easy", "medium", "hard"] = Field(
        "medium", description="easy: below edges[0]; medium: below edges[1]; hard: from there to max_similarity"
    )
    ratio: Share = Field(0.2, description="created rows as a share of the positive rows")
    edges: Annotated[list[Cosine], Field(min_length=2, max_length=2)] = Field(
        [0.2, 0.4], description="cosines between the bands; the defaults suit MiniLM"
    )
    max_similarity: Cosine = Field(0.6, description="no target as similar to the query as this is taken")
    max_query_similarity: Cosine = Field(0.8, description="nor one right for another query as similar as this")
    tree: list[Literal["sibling", "cousin", "vertical", "far"]] | None = Field(
        None, description="QC: where a target lies, seen from the row's category; null: off its own branch"
    )
    pool: Whole = Field(60_000, description="most different targets of a fold that are looked at")
    weight: Weight = Field(1.0, description="weight of a created row in a fit")

    @model_validator(mode="after")
    def _bands_rise(self) -> SemanticNegatives:
        if any(low > high for low, high in pairwise((*self.edges, self.max_similarity))):
            raise ValueError(f"edges: expected two rising cosines up to max_similarity, found {self.edges}")
        return self


class SwappedTargets(Step):
    """For QI: give a positive row's query the target of a close query, with label 0."""

    section: ClassVar[str] = "swapped_targets"
    step: Literal["swapped_targets"] = "swapped_targets"
    share: Share = Field(0.1, description="positive rows that are tried, as a share")
    low: Cosine = Field(0.55, description="least similarity of the close query")
    high: Cosine = Field(0.8, description="from here on two queries often ask for the same thing")
    margin: Cosine = Field(0.1, description="how much less similar to the query the other target is than its own")
    weight: Weight = Field(1.0, description="weight of a created row in a fit")


class Counterfactuals(Step):
    """For QI: change one thing that a positive row's query asks for and its title states; the label becomes 0."""

    section: ClassVar[str] = "counterfactuals"
    step: Literal["counterfactuals"] = "counterfactuals"
    share: Share = Field(0.1, description="most created rows, as a share of the positive rows")
    kinds: list[Attribute] = Field(list(get_args(Attribute)), description="what may be changed")
    weight: Weight = Field(1.0, description="weight of a created row in a fit")


class Balance(Step):
    """Bring every language to one size and every label to one share, by leaving rows out and by weights."""

    section: ClassVar[str] = "balance"
    step: Literal["balance"] = "balance"
    positive_rate: Annotated[float, Field(gt=0, lt=1)] | None = Field(
        0.5, description="share of label 1 in each language; null: the language's own"
    )
    rows_per_language: Whole | None = Field(None, description="null: the rows of the median language")
    most_repeats: float = Field(3.0, ge=1, description="a row's weight at most")


class SelfValidate(Step):
    """Report, weight down or drop rows whose label a model that never saw them contradicts."""

    section: ClassVar[str] = "self_validate"
    step: Literal["self_validate"] = "self_validate"
    original: Action = Field("report", description="what becomes of rows of the files: report, down_weight, drop")
    created: Action = Field("drop", description="what becomes of created rows: report, down_weight, drop")
    down_weight: Share = Field(0.3, description="factor on the weight of a row that is weighted down")
    most: Share = Field(0.1, description="most rows of each kind that are acted on, the most doubtful first")


AnyStep = Annotated[
    ExpandLanguages | TranslateTitles | SemanticNegatives | SwappedTargets | Counterfactuals | Balance | SelfValidate,
    Field(discriminator="step"),
]
STEPS: dict[str, type[Step]] = {model.section: model for model in get_args(get_args(AnyStep)[0])}


class StrategySettings(Section):
    """A strategy file: what it is for, and its steps in the order in which they run."""

    section: ClassVar[str] = "strategy"
    renamed: ClassVar[dict[str, Renaming]] = {"says": "description"}
    description: Text = Field(description="a sentence on what the strategy is for")
    steps: list[AnyStep] = Field([], description="run one after another on the rows of train")


def check_strategy(given: Mapping[str, Any], source: str, todo: str) -> StrategySettings:
    """A strategy file's content, defaults filled in.

    Raises UserError with all faults at once, each with its file and the number of its step, and the nearest known
    name; `source` names the file, `todo` says what to do.
    """
    faults: list[str] = []
    steps = given.get("steps") or []
    if isinstance(steps, list):
        steps = [_check_step(entry, f"step {place}", faults) for place, entry in enumerate(steps, 1)]
    try:
        strategy = StrategySettings.model_validate({**given, "steps": [] if faults else steps})
    except ValidationError as error:
        faults = fault_lines(error, StrategySettings) + faults
    if faults:
        lines = [f"strategy {source}: {len(faults)} wrong", *(f"  {source}, {line}" for line in faults), todo]
        raise UserError("\n".join(lines))
    return strategy


def _check_step(entry: Any, where: str, faults: list[str]) -> Step | None:
    name = entry.get("step") if isinstance(entry, Mapping) else None
    if not isinstance(name, str):
        faults.append(f"{where}: expected a mapping with the key step, found {entry!r}")
    elif name not in STEPS:
        faults.append(f"{where}: expected one of {', '.join(STEPS)}, found {name!r}{did_you_mean(name, list(STEPS))}")
    else:
        try:
            return STEPS[name].model_validate(entry)
        except ValidationError as error:
            faults += [f"{where}: {name}.{line}" for line in fault_lines(error, STEPS[name])]
    return None


def strategy_json_schema() -> dict[str, Any]:
    """JSON Schema of a strategy file, for an editor's completion."""
    return StrategySettings.model_json_schema()
