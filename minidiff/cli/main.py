"""python -m minidiff: finds the commands, runs one, and turns every expected error into one line and exit status 2."""

import argparse
import importlib
import pkgutil
import sys

import minidiff.cli
from minidiff.data.errors import DataError
from minidiff.training.errors import CheckpointError, TrainingError


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message):
        print(f"{self.prog}: {message}", file=sys.stderr)
        raise SystemExit(2)


def main(arguments=None):
    """Run one command; returns its exit status: 0, what the command returns, or 2 on a bad input."""
    parser = Parser(prog="minidiff", description="Diffusion models from scratch: train, sample, measure, learn.")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for found in pkgutil.iter_modules(minidiff.cli.__path__):
        module = importlib.import_module(f"minidiff.cli.{found.name}")
        if hasattr(module, "add_parser"):
            module.add_parser(commands)
    args = parser.parse_args(arguments)
    try:
        return args.run(args) or 0
    except (DataError, CheckpointError, TrainingError, ValueError, OSError) as error:
        print(f"minidiff {args.command}: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\nminidiff {args.command}: stopped", file=sys.stderr)
        return 130
