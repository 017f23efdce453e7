"""Whatever a config, an override, a strategy or a lexicon holds: it is accepted whole, or refused with a UserError."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import yaml
from fuzzing import fuzz
from hypothesis import given
from hypothesis import strategies as st

from competition_utils.augment.strategies import load_strategy
from competition_utils.errors import UserError
from competition_utils.runs.config import load_config
from competition_utils.settings.schema import KINDS, RunSettings
from competition_utils.settings.strategy import STEPS

NAMES = [*RunSettings.model_fields, *(name for kind in KINDS.values() for name in kind.model_fields)]
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
    | st.sampled_from(["auto", "all", "nan", "1e400", "-0", "~", "null", "../x", "\0", "\u202e"])
    | st.dates()
)
keys = st.sampled_from([*NAMES, "run_dir", "step"]) | st.text(max_size=8) | st.integers() | st.none()
values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(keys, inner, max_size=4))
sections = st.dictionaries(st.sampled_from(list(KINDS)), st.dictionaries(st.sampled_from(NAMES), values, max_size=4))
configs = st.dictionaries(st.sampled_from(NAMES), values, max_size=5)
steps = st.sampled_from(list(STEPS)).flatmap(
    lambda name: st.dictionaries(st.sampled_from(list(STEPS[name].model_fields)), values, max_size=4).map(
        lambda given: {**given, "step": name}
    )
)
any_overrides = st.text(max_size=30) | st.tuples(st.sampled_from(NAMES), st.text(max_size=12)).map("=".join)


def as_yaml(value: object) -> str:
    return yaml.safe_dump(value, allow_unicode=True)


def accepted_or_refused(config: Path | str, overrides: list[str] = []) -> None:  # noqa: B006 - not changed
    """Load a config; what is accepted can be written and read again as the same settings."""
    with suppress(UserError):
        loaded = load_config(str(config), overrides)
        again = type(loaded.settings).model_validate(loaded.settings.model_dump())
        assert again.model_dump() == loaded.settings.model_dump()


@fuzz(60)
@given(values | configs, sections)
def test_any_yaml_values_as_a_config(tmp_path_factory, value, section):
    path = tmp_path_factory.mktemp("config") / "mine.yaml"
    merged = {**value, **section} if isinstance(value, dict) else value
    path.write_text(as_yaml(merged), encoding="utf-8")
    accepted_or_refused(path)


@fuzz(60)
@given(st.text(max_size=60) | st.binary(max_size=60))
def test_any_text_or_bytes_as_a_config(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("config") / "mine.yaml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
    accepted_or_refused(path)


@fuzz(60)
@given(
    st.lists(st.text(max_size=30) | st.tuples(st.sampled_from(NAMES), st.text(max_size=12)).map("=".join), max_size=3)
)
def test_any_override(tmp_path_factory, overrides):
    path = tmp_path_factory.mktemp("config") / "mine.yaml"
    path.write_text("seed: 1\n")
    accepted_or_refused(path, overrides)


@fuzz(60)
@given(values | st.fixed_dictionaries({"description": scalars, "steps": st.lists(steps | values, max_size=3)}))
def test_any_yaml_values_as_a_strategy(tmp_path_factory, value):
    path = tmp_path_factory.mktemp("strategy") / "mine.yaml"
    path.write_text(as_yaml(value), encoding="utf-8")
    with suppress(UserError):
        assert all(step.step in STEPS for step in load_strategy(str(path)).steps)
