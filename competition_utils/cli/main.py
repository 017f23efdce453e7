"""`python -m competition_utils`: every module of `cli/commands` is a subcommand."""

from __future__ import annotations

import argparse
import io
import pkgutil
import signal
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module
from types import FrameType, ModuleType

from competition_utils.cli import commands
from competition_utils.cli.printed import printed_by
from competition_utils.errors import UserError, plain_warning, unusable_file

WRONG_INPUT, INTERRUPTED = 2, 130
PROGRAM = "python -m competition_utils"
EPILOG = f"""\
a first run, on the built-in sample:
  {PROGRAM} run sample --resume
your own data folder, with the official file names:
  {PROGRAM} check-data DIR
  {PROGRAM} run encoder_cpu --data-dir DIR --name mine
help for one subcommand:
  {PROGRAM} run --help
"""


def subcommands() -> dict[str, ModuleType]:
    """Name → module of `cli/commands` and the packages in it; the name is the module's, with dashes.

    A module gives HELP, add_arguments(parser), run(args) -> exit status, and may give EXAMPLES.
    """
    found = pkgutil.walk_packages(commands.__path__, f"{commands.__name__}.")
    names = sorted((one.name.rpartition(".")[2], one.name) for one in found if not one.ispkg)
    return {name.replace("_", "-"): import_module(module) for name, module in names}


def build_parser() -> argparse.ArgumentParser:
    """A parser with all subcommands; the help of each ends with examples, and what one of them printed."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        PROGRAM,
        description="Multilingual e-commerce search relevance, from official files to a checked submission.",
        epilog=EPILOG,
        formatter_class=raw,
    )
    subparsers = parser.add_subparsers(metavar="SUBCOMMAND", required=True)
    for name, command in subcommands().items():
        subparser = subparsers.add_parser(
            name, help=command.HELP, description=command.HELP, epilog=_epilog(name, command), formatter_class=raw
        )
        command.add_arguments(subparser)
        subparser.set_defaults(run=command.run)
    return parser


def _epilog(name: str, command: ModuleType) -> str:
    examples = getattr(command, "EXAMPLES", "")
    shown = "".join(f"  {line}".rstrip() + "\n" for line in printed_by(name).splitlines())
    parts = {"examples": examples, "what it prints, here on a few hundred rows": shown}
    return "\n".join(f"{title}:\n{text}" for title, text in parts.items() if text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a subcommand. The exit status: 0 success, 1 a check or a stage failed, 2 wrong input, 130 stopped."""
    warnings.formatwarning = plain_warning
    args = build_parser().parse_args(arguments)
    for number in (signal.SIGTERM, signal.SIGINT):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # a file name may hold bytes that are no text
            stream.reconfigure(errors="backslashreplace")
    try:
        return args.run(args)
    except UserError as error:
        print(error, file=sys.stderr)
        return WRONG_INPUT
    except KeyboardInterrupt:
        print("stopped; what is finished stays, and --resume goes on from there", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()  # the reader of a pipe left, as in `… | head`
        return 0
    except OSError as error:
        if unusable := unusable_file(error):
            print(unusable, file=sys.stderr)
            return WRONG_INPUT
        raise


def _stop(number: int, frame: FrameType | None) -> None:
    """End on SIGTERM as on Ctrl-C, so that the kernel of a notebook does not outlive its runner."""
    raise KeyboardInterrupt
