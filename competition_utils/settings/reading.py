"""YAML and `KEY=VALUE` texts as plain values, each fault with its place."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

import yaml

from competition_utils.errors import UserError


class _Loader(yaml.SafeLoader):
    """Safe YAML that reads 1e-4 as a number (YAML 1.1 does not) and refuses a key given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        keys = [self.construct_object(key) for key, _ in node.value]
        twice = next((key for key in keys if keys.count(key) > 1), None)
        if twice is not None:
            raise yaml.constructor.ConstructorError(None, None, f"key {twice!r} stands twice", node.start_mark)
        return super().construct_mapping(node, deep)


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?\d+(\.\d*)?[eE][-+]?\d+$"), list("-+0123456789")
)


def parse_yaml(text: str, where: str) -> Any:
    """A YAML document as plain values; raises UserError with `where` and the line."""
    try:
        return yaml.load(text, Loader=_Loader)  # a subclass of SafeLoader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        place = f"{where}:{mark.line + 1}" if mark else where
        problem = getattr(error, "problem", None) or "unreadable characters"
        raise UserError(f"{place}: expected YAML, found a fault: {problem}.") from None
    except (RecursionError, ValueError) as error:
        problem = "values nested too deep" if isinstance(error, RecursionError) else str(error)
        raise UserError(f"{where}: expected YAML, found {problem}. Write it plainly.") from None


def read_mapping(path: Path) -> dict[str, Any]:
    """A YAML file that holds a mapping with texts as keys; raises UserError for anything else."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{path}: expected UTF-8 text, found other bytes.") from None
    except OSError as error:
        raise UserError(f"{path}: expected a file that can be read, found: {error.strerror}.") from None
    values = parse_yaml(text, str(path))
    if not isinstance(values, dict) or not all(isinstance(key, str) for key in values):
        raise UserError(f"{path}: expected a mapping (lines such as seed: 0), found {type(values).__name__}.")
    return values


def parse_overrides(overrides: Sequence[str]) -> tuple[dict[str, Any], list[str]]:
    """`KEY=VALUE` texts as values (read as YAML), and the faults of those that are none."""
    given, faults = {}, []
    for text in overrides:
        key, equals, value = text.partition("=")
        if not equals or not key:
            faults.append(f"-p {text}: expected KEY=VALUE")
        else:
            given[key] = parse_yaml(value, f"-p {key}")
    return given, faults


def lay_over(values: Mapping[str, Any], overrides: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """`values` with overrides put in, and the faults; a dotted key goes into a mapping and leaves its other keys."""
    laid, faults = deepcopy(dict(values)), []
    for key, value in overrides.items():
        *mappings, name = key.split(".")
        place: Any = laid
        for part in mappings:
            place = place.setdefault(part, {}) if isinstance(place, dict) else None
        if isinstance(place, dict):
            place[name] = value
        else:
            faults.append(f"-p {key}: {'.'.join(mappings)} is not a mapping, so it has no {name}")
    return laid, faults


def mapping_of(text: str, where: str) -> dict[str, Any]:
    """A mapping written as YAML on the command line, e.g. `{num_train_epochs: 1}`; UserError for anything else."""
    value = parse_yaml(text, where)
    if not isinstance(value, dict):
        raise UserError(f"{where}: expected a mapping such as '{{num_train_epochs: 1}}', found {text!r}.")
    return value
