"""What pydantic finds wrong, in the words of this project: where, what was expected, what was found."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from competition_utils.errors import WrongSettings

Schema = TypeVar("Schema", bound=BaseModel)
LONGEST_VALUE = 80  # characters of a value in a message


def checked(
    schema: type[Schema], given: Mapping[str, Any], source: str, todo: str = "", more: Sequence[str] = ()
) -> Schema:
    """`given` as a model of `schema`, defaults filled in.

    Raises WrongSettings with all faults at once, those of `more` among them; `source` names the file or object they
    are in, `todo` says what to do.
    """
    lines = list(more)
    try:
        model = schema.model_validate(given)
    except ValidationError as error:
        lines = fault_lines(error, schema) + lines
    if lines:
        raise WrongSettings(source, lines, todo)
    return model


def fault_lines(error: ValidationError, schema: type[BaseModel]) -> list[str]:
    """One line a fault, `encoder.dtype: expected …, found …`; the branches of a union share a line."""
    expected: dict[tuple[str, str], list[str]] = {}
    for each in error.errors(include_url=False):
        place, message = _place(each["loc"], schema), _message(each, schema)
        if each["type"] == "value_error":  # of a validator over several fields, which names the field itself
            expected.setdefault((f"{place}.{message}" if place else message, ""), [])
        else:
            found = "" if each["type"] in ("extra_forbidden", "missing") else f", found {_short(each['input'])}"
            expected.setdefault((place, found), []).append(message)
    return [
        f"{place}: {' or '.join(dict.fromkeys(messages)).replace(' or expected ', ' or ')}{found}"
        if messages
        else place
        for (place, found), messages in expected.items()
    ]


def did_you_mean(name: str, known: Mapping[str, str] | Iterable[str]) -> str:
    """` (did you mean x?)`, or nothing where no known name is near; a mapping says what stands for a near name."""
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    found = known[near[0]] if near and isinstance(known, Mapping) else (near or [None])[0]
    return f" (did you mean {found}?)" if found else ""


def _known_names(schema: type[BaseModel]) -> dict[str, str]:
    """Each name of a section, those of earlier releases too, and the name that it has today."""
    earlier = {old: new if isinstance(new, str) else new[0] for old, new in getattr(schema, "renamed", {}).items()}
    return {**earlier, **{name: name for name in schema.model_fields}}


def _message(error: ErrorDetails, schema: type[BaseModel]) -> str:
    if error["type"] == "value_error":
        return str(error["ctx"]["error"])
    if error["type"] == "extra_forbidden":
        *parents, name = error["loc"]
        for parent in parents:
            schema = _section(schema, parent) or schema
        return f"no such setting{did_you_mean(str(name), _known_names(schema))}"
    if error["type"] == "missing":
        return "expected a value, found none"
    what = error["msg"].removeprefix("Input should be ")
    return f"expected {what[0].lower()}{what[1:]}"


def _place(loc: tuple[int | str, ...], schema: type[BaseModel]) -> str:
    """A dotted path of names and places in lists, without the branches of unions that pydantic adds."""
    parts: list[str] = []
    section: type[BaseModel] | None = schema
    for part in loc:
        if section is not None:
            parts.append(str(part))
            section = _section(section, part)
        elif isinstance(part, int):
            parts.append(str(part))
    return ".".join(parts)


def _section(schema: type[BaseModel], name: int | str) -> type[BaseModel] | None:
    field = schema.model_fields.get(str(name))
    kind = field.annotation if field else None
    return kind if inspect.isclass(kind) and issubclass(kind, BaseModel) else None


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}…"
