"""A fitted model → a repository of the Hugging Face Hub, with its card.

The token is what huggingface_hub finds: `HF_TOKEN` in the environment or the login of `hf auth login`. It is never
asked for, stored or printed here.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from competition_utils.errors import UserError, printable
from competition_utils.models.base import read_saved
from competition_utils.storage import read_json

CARD = "README.md"
NEW_CARD = """\
---
library_name: competition-utils
tags: [query-relevance, e-commerce, multilingual]
---

# Relevance of query–target pairs: a model of the kind {kind}

Gives the probability that a category or an item is relevant to a shopping query. Load it with
`competition_utils.models.base.load_model(FOLDER)`.{own}{share}

## Scores on the validation rows

{scores}

## Settings

{settings}
"""
LINEAR_SHARE = (
    " Linear models in `linear/` have a share of {} in the logit of its scores: transformers alone reads the encoder "
    "without them, and scores otherwise."
)


@dataclass(frozen=True)
class Parcel:
    """What is pushed: names below `folder` with their bytes, and the card, which `has_card` says lies there already."""

    folder: Path
    files: dict[str, int]
    card: str
    has_card: bool


def pack(folder: Path) -> Parcel:
    """The files of a saved model that make it up; scores and reports beside them stay at home.

    Raises UserError and DamagedFile as `models.base.read_saved` does.
    """
    saved = read_saved(folder)
    has_card = (folder / CARD).is_file()
    names = sorted([*saved["files"], "model.json", *([CARD] if has_card else [])])
    card = (folder / CARD).read_text(encoding="utf-8") if has_card else new_card(folder, saved)
    return Parcel(folder, {name: (folder / name).stat().st_size for name in names}, card, has_card)


def new_card(folder: Path, saved: dict[str, Any]) -> str:
    """A card for a model whose fit wrote none: kind, settings and the last evaluation."""
    report = folder / "fit.json"
    history = read_json(report).get("history", []) if report.is_file() else []
    own = saved["kind"].startswith("python:")
    return NEW_CARD.format(
        kind=f"`{saved['kind']}`",
        share=LINEAR_SHARE.format(share) if (share := saved["settings"].get("linear_share")) else "",
        own=" Its class is code of its author: register it first (`models.base.register_model`)." if own else "",
        scores=_table("figure", history[-1] if history else {}),
        settings=_table("setting", saved["settings"]),
    )


def _table(head: str, values: dict[str, Any]) -> str:
    rows = [f"| {name} | {printable(str(value))} |" for name, value in values.items()]
    return "\n".join([f"| {head} | value |", "| --- | --- |", *rows]) if rows else "none"


def check_repo_id(repo_id: str) -> None:
    """Raise UserError for what is no OWNER/NAME of the Hub."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id

    try:
        validate_repo_id(repo_id)
    except HFValidationError:
        raise UserError(f"push: expected a repository as OWNER/NAME, found {printable(repo_id)!r}.") from None


def push(parcel: Parcel, repo_id: str, *, private: bool, api: Any = None) -> str:
    """Make the repository where it is not there, upload, and give its address; `api` is a `huggingface_hub.HfApi`.

    Raises UserError, before any file leaves, for a repository that is there and public although `private` is wanted,
    and where the Hub cannot be reached or refuses.
    """
    from huggingface_hub import HfApi

    api = HfApi() if api is None else api
    with _refusals_as_errors(repo_id):
        address = str(api.create_repo(repo_id, private=private, exist_ok=True))
        if private and not api.model_info(repo_id).private:
            raise UserError(f"push: expected {repo_id} to be private, found it public. Say --public, or name another.")
        if not parcel.has_card:
            api.upload_file(path_or_fileobj=parcel.card.encode(), path_in_repo=CARD, repo_id=repo_id)
        api.upload_folder(folder_path=parcel.folder, repo_id=repo_id, allow_patterns=list(parcel.files))
    return address


@contextmanager
def _refusals_as_errors(repo_id: str) -> Iterator[None]:
    """What the Hub or the way to it refuses, by status and kind alone: the text of an error may hold anything."""
    from huggingface_hub.errors import HfHubHTTPError, HTTPError, LocalTokenNotFoundError, OfflineModeIsEnabled

    try:
        yield
    except LocalTokenNotFoundError:
        found = "none"
    except HfHubHTTPError as error:
        found = f"the answer {getattr(error.response, 'status_code', 'without a status')}"
    except (HTTPError, OfflineModeIsEnabled, ConnectionError) as error:
        found = f"no way to the Hub ({type(error).__name__})"
    else:
        return
    raise UserError(
        f"push: expected a login that may write to {repo_id}, found {found}.\n"
        "Log in with `hf auth login`, or set HF_TOKEN to a token with write access; then call again."
    )
