"""Parts of a model that a reader may change before fitting: a prompt, a configuration, a loss.

A part is made from the settings when it is first asked for, can be changed in place or replaced by assignment, and
is used by `fit` as it then is. What differs from the settings' own part (`edits`) belongs to the identity of a fit,
is saved with the model, and travels to child processes.
"""

from __future__ import annotations

import functools
import inspect
import textwrap
from collections.abc import Callable, Mapping
from dataclasses import asdict, is_dataclass
from enum import Enum
from importlib import import_module
from typing import Any

from competition_utils.errors import UserError


class part(functools.cached_property):
    """A public part of a model; the decorated method makes it from the settings."""

    def __init__(self, make: Callable[[Any], Any]):
        super().__init__(lambda model: with_edits(make(model), model.given_edits.get(make.__name__), make.__name__))
        self.make, self.__doc__ = make, make.__doc__


def parts_of(kind: type) -> dict[str, part]:
    """The parts that a class and its bases declare, by name."""
    found = {name: value for base in reversed(kind.__mro__) for name, value in vars(base).items()}
    return {name: value for name, value in found.items() if isinstance(value, part)}


def edits_of(model: Any) -> dict[str, dict[str, Any]]:
    """What was changed: part → field → value as JSON knows it; replaced methods by their source. Empty: nothing."""
    edits = {}
    for name, declared in parts_of(type(model)).items():
        if name in vars(model):
            changed = differences(plain(declared.make(model)), plain(getattr(model, name)), name)
        else:
            changed = model.given_edits.get(name)  # not asked for yet
        edits |= {name: changed} if changed else {}
    replaced = {name: value for name, value in vars(model).items() if inspect.isfunction(getattr(type(model), name, 0))}
    return edits | {name: plain(value) for name, value in replaced.items()}


def differences(default: Any, now: Any, name: str) -> dict[str, Any]:
    """The fields of `now` that are not as in `default`; both as `plain` gives them."""
    if not isinstance(default, dict) or not isinstance(now, dict):
        if default == now:
            return {}
        raise UserError(
            f"{name}: expected {'nothing' if default is None else 'an object as the settings make it'}, found another "
            "kind of object. Change its fields, or the settings that decide whether it is there."
        )
    if "source" in now:
        return now if now["source"] != default["source"] else {}
    return {key: now.get(key) for key in {**default, **now} if default.get(key) != now.get(key)}


def with_edits(value: Any, edits: Mapping[str, Any] | None, name: str) -> Any:
    """The part with saved edits made again. Raises UserError for a function that cannot be imported here."""
    if not edits:
        return value
    if callable(value) and "source" in edits:
        return _import(edits, name)
    for field, changed in edits.items():
        if isinstance(value, dict):
            value[field] = changed
        else:
            setattr(value, field, changed)
    return value


def plain(value: Any) -> Any:
    """A part as dicts, lists, texts and numbers."""
    if hasattr(value, "get_params"):
        return plain(value.get_params())
    if is_dataclass(value) and not hasattr(value, "to_dict"):
        return plain(asdict(value))
    if hasattr(value, "to_dict"):
        return plain(value.to_dict())
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted(plain(one) for one in value)
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, Enum):
        return plain(value.value)
    if callable(value):
        return {"source": source_of(value), "name": _name_of(value)}
    return value


def source_of(function: Any) -> str:
    """The source text of a function, with the arguments that a `functools.partial` fixes as a comment below."""
    if isinstance(function, functools.partial):
        fixed = ", ".join(f"{name}={value!r}" for name, value in function.keywords.items())
        return f"{source_of(function.func)}# with {fixed}\n"
    try:
        return textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError) as error:
        raise UserError(
            f"expected a function whose source can be read, found {function!r}. Define it with def in a cell or a file."
        ) from error


def refuse_to_send(edits: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise UserError for edits that no other process could make again: functions of a notebook."""
    for name, changed in edits.items():
        if "source" in changed:
            _import(changed, name)


def _name_of(function: Any) -> str:
    function = getattr(function, "func", function)
    return f"{getattr(function, '__module__', '')}:{getattr(function, '__qualname__', '')}"


def _import(edit: Mapping[str, Any], name: str) -> Any:
    module, _, attribute = edit["name"].partition(":")
    found = None
    if module != "__main__" and "<" not in attribute:
        found = getattr(import_module(module), attribute, None)
    if found is None or source_of(found) != edit["source"]:
        raise UserError(
            f"{name}: expected a function of a module, found {attribute} of a notebook, which cannot travel to the "
            "processes that train. Put it into a file that Python can import, or train in this process "
            "(`num_processes: 1`, `backend: transformers`)."
        )
    return found
