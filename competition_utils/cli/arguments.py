"""Command line arguments that several subcommands have."""

from __future__ import annotations

import argparse
import re
from pathlib import Path
from typing import TYPE_CHECKING

from competition_utils import paths
from competition_utils.errors import UserError

if TYPE_CHECKING:
    from competition_utils.settings.schema import RaySettings

RAY_SETTINGS = ("num_cpus", "num_gpus", "memory", "concurrency", "max_retries")  # schema.RaySettings, a slow import


def add_parameters(parser: argparse.ArgumentParser, what: str) -> None:
    """`-p KEY=VALUE`, as often as wanted, into `parameters`; `what` is its line in the help."""
    parser.add_argument("-p", dest="parameters", metavar="KEY=VALUE", action="append", default=[], help=what)


def from_here(data_dir: str) -> str:
    """On the command line a path is meant from the working directory, in a config from the root."""
    return data_dir if data_dir in (paths.AUTO, paths.BUILT_IN_SAMPLE) else str(Path(data_dir).expanduser().absolute())


def add_share(parser: argparse.ArgumentParser, what: str) -> None:
    """`--share K/N` as (K, N); None where it is not given."""
    help = f"every N-th {what} from the K-th on, K from 0 to N - 1"
    parser.add_argument("--share", metavar="K/N", type=_share, help=help)


def _share(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if not found or int(found[1]) >= int(found[2]):
        raise argparse.ArgumentTypeError(f"expected K/N with K from 0 to N - 1, e.g. 0/16; found {text!r}")
    return int(found[1]), int(found[2])


def add_engine(parser: argparse.ArgumentParser) -> None:
    """`--engine`, and `--ray KEY=VALUE` into `ray_settings`."""
    parser.add_argument("--engine", choices=["local", "ray"], default="local", help="ray: on a cluster (extra: ray)")
    what = f"of a worker: {', '.join(RAY_SETTINGS)}"
    parser.add_argument("--ray", metavar="KEY=VALUE", action="append", default=[], help=what)


def ray_settings(args: argparse.Namespace) -> RaySettings:
    """What `--ray` gives; UserError for what Ray's settings do not admit, or without `--engine ray`."""
    from competition_utils.settings.faults import checked
    from competition_utils.settings.reading import parse_overrides
    from competition_utils.settings.schema import RaySettings

    given, faults = parse_overrides(args.ray)
    if given and args.engine != "ray":
        raise UserError("--ray: expected --engine ray with it. Add that, or leave --ray out.")
    return checked(RaySettings, given, "--ray", more=[line.replace("-p ", "--ray ") for line in faults])
