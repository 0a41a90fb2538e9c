"""python -m minidiff: finds the commands, runs one, and turns every expected error into one line and exit status 2."""

import argparse
import importlib
import re
import sys
from pathlib import Path

from minidiff.data.errors import DataError
from minidiff.training.errors import CheckpointError, TrainingError

COMMAND = re.compile(r'"""python -m minidiff (\w+)[^:]*: (.+?)\.?"""')  # the first line of a command's module


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message):
        print(f"{self.prog}: {message}", file=sys.stderr)
        raise SystemExit(2)


def commands():
    """What each command does, {name: its module's first line}, without importing one."""
    lines = (file.read_text(encoding="utf-8").split("\n", 1)[0] for file in sorted(Path(__file__).parent.glob("*.py")))
    return dict(found.groups() for line in lines if (found := COMMAND.match(line)))


def main(arguments=None):
    """Run one command; returns its exit status: 0, what the command returns, or 2 on a bad input."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")  # a terminal without an "é" gets a "?", and loses nothing else
    arguments = sys.argv[1:] if arguments is None else arguments
    asked = next((word for word in arguments if not word.startswith("-")), None)
    parser = Parser(prog="minidiff", description="Diffusion models from scratch: train, sample, measure, learn.")
    choices = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, what in commands().items():
        if name == asked:  # the others need not be imported
            importlib.import_module(f"minidiff.cli.{name}").add_parser(choices)
        else:
            choices.add_parser(name, help=what)
    args = parser.parse_args(arguments)
    try:
        return args.run(args) or 0
    except (DataError, CheckpointError, TrainingError, ValueError, OSError, ImportError) as error:
        print(f"minidiff {args.command}: {' '.join(str(error).split())}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"\nminidiff {args.command}: stopped", file=sys.stderr)
        return 130
