"""How long does each chapter take from its first cell to its last? Compared with course.toml, or written into it.

    python benchmarks/chapters.py [NN ...]            exit 1 where a chapter takes over twice its recorded seconds
    python benchmarks/chapters.py --write [NN ...]    on the idle machine: record what was measured
"""

import argparse
import re
import sys
import time
import tomllib
from pathlib import Path

import nbformat
from nbclient import NotebookClient

from minidiff.training.checkpoint import write_whole

ROOT = Path(__file__).resolve().parents[1]
MANIFEST = ROOT / "course.toml"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("chapters", nargs="*", metavar="NN", help="default: all")
    parser.add_argument("--write", action="store_true", help="record the seconds in course.toml")
    args = parser.parse_args()
    manifest, slow = tomllib.loads(MANIFEST.read_text()), []
    for number in args.chapters or [key for key in manifest if "notebook" in manifest[key]]:
        file, recorded = ROOT / "chapters" / f"{manifest[number]['notebook']}.ipynb", manifest[number].get("seconds")
        seconds = run(file)
        print(f"{number}: {seconds:.0f} s (recorded: {recorded} s)", flush=True)
        if args.write:
            write_whole(MANIFEST, with_seconds(MANIFEST.read_text(), number, round(seconds)))
        elif recorded is None or seconds > 2 * recorded:
            slow.append(number)
    if slow:
        sys.exit(f"chapters {', '.join(slow)} take over twice their recorded seconds, or have none")


def run(file):
    """Execute a notebook as a learner does, restart and run all; returns its seconds."""
    start = time.monotonic()
    NotebookClient(nbformat.read(file, as_version=4), timeout=600, kernel_name="python3").execute(cwd=file.parent)
    return time.monotonic() - start


def with_seconds(text, number, seconds):
    """course.toml with other seconds for one chapter; all else stays as it is."""
    before, header, after = text.partition(f"\n[{number}]\n")
    own, following, rest = after.partition("\n[")
    own = re.sub(r"^seconds = .*\n", "", own, flags=re.M)
    own = re.sub(r"^(notebook = .*\n)", rf"\g<1>seconds = {seconds}\n", own, flags=re.M)
    return before + header + own + following + rest


if __name__ == "__main__":
    main()
