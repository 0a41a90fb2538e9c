"""`python -m minidiff.grading report`: what a class found easy and hard."""

import json
from collections import Counter, defaultdict
from itertools import combinations
from pathlib import Path

import matplotlib.pyplot as plt

from minidiff.grading.mark import GradingError
from minidiff.plotting import use_house_style


def add_command(commands):
    """Add `report` to the subcommands of `python -m minidiff.grading`."""
    parser = commands.add_parser("report", help="sum up a marked class", description=(
        "Prints for every exercise the pass rate and the most missed case, lists answers that are identical up to "
        "names and comments, and draws OUT/report-chNN.png."))
    parser.add_argument("out", type=Path, metavar="OUT", help="the folder that `run` wrote")
    parser.set_defaults(command=command)


def command(args):
    """Run `report` with parsed arguments. Returns the exit status; raises GradingError."""
    if not (args.out / "run.json").exists():
        raise GradingError(f"{args.out}: no marks there; `python -m minidiff.grading run` writes them")
    sheets = [s for file in sorted(args.out.glob("*.json")) if file.name != "run.json"
              for s in json.loads(file.read_text(encoding="utf-8"))]
    for chapter in sorted({s["chapter"] for s in sheets}):
        own = [s for s in sheets if s["chapter"] == chapter]
        print("\n".join(lines(chapter, own)))
        draw(own, chapter, args.out / f"report-{chapter}.png")
    return 0


def lines(chapter, sheets):
    """The report of a chapter, line by line."""
    marks, missed = defaultdict(list), defaultdict(Counter)
    for sheet in sheets:
        for mark in sheet["marks"]:
            marks[mark["id"]].append(mark)
            missed[mark["id"]].update(c["says"] for c in mark["cases"] if not c["passed"])
    unreadable = sum(bool(s["problem"]) for s in sheets)
    out = [f"{chapter}: {len(sheets)} notebooks, {unreadable} of them unreadable"]
    for id, some in sorted(marks.items()):
        if some[0]["state"] == "to be read" or all(m["state"] in ("to be read", "missing") for m in some):
            written = sum(bool(m["text"]) for m in some)
            out.append(f"  {id}: to be read, {written} of {len(some)} written")
            continue
        passed = sum(m["state"] == "passed" for m in some)
        most = missed[id].most_common(1)
        out.append(f"  {id}: {100 * passed / len(some):.0f} % passed"
                   + (f"; most missed: {most[0][0]} ({most[0][1]})" if most else ""))
    out += [f"  the same up to names and comments: {id}: {a}, {b}" for id, a, b in alike(sheets)]
    return out


def alike(sheets):
    """Pairs of students whose right or wrong answers are one text up to names and comments, [(id, a, b)]."""
    by_text = defaultdict(list)
    for sheet in sheets:
        for mark in sheet["marks"]:
            if mark["canonical"] and mark["state"] in ("passed", "not passed"):
                by_text[mark["id"], mark["canonical"]].append(sheet["student"])
    return sorted((id, *pair) for (id, _), students in by_text.items() for pair in combinations(sorted(students), 2))


def draw(sheets, chapter, path):
    """The distribution of the points as a picture."""
    use_house_style()
    of = max(s["of"] for s in sheets)
    points = [s["points"] for s in sheets]
    figure, axes = plt.subplots(figsize=(6, 3))
    axes.hist(points, bins=range(int(of) + 2), align="left", rwidth=0.9)
    middle = sorted(points)[len(points) // 2]
    axes.set(title=f"{chapter}: half of the class has {middle:g} points or more", xlabel=f"points (of {of})",
             ylabel="notebooks")
    figure.savefig(path, dpi=120, bbox_inches="tight")
    plt.close(figure)
