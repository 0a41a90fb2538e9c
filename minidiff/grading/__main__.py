"""`python -m minidiff.grading COMMAND`: each command lives in a module that has `add_command`."""

import argparse
import sys

from minidiff.grading import build, export, new, report, run, selftest
from minidiff.grading.mark import GradingError
from minidiff.grading.notebook import BuildError


def main(argv=None):
    """Parse the arguments, run the command, and return its exit status; 2, with one line, for bad input."""
    parser = argparse.ArgumentParser(prog="python -m minidiff.grading",
                                     description="Build the course, and mark the work of a class.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for module in (build, run, report, export, selftest, new):
        module.add_command(commands)
    args = parser.parse_args(argv)
    try:
        return args.command(args)
    except (BuildError, GradingError) as error:
        print(f"minidiff.grading: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
