"""python -m minidiff compare CHECKPOINT: samplers side by side, at equal numbers of evaluations."""

import json
from pathlib import Path

from minidiff.cli.drawing import (add_drawing, bar, check_writable, conditions, draw, in_words, measured, model,
                                  rehearse, write_with)
from minidiff.cli.options import whole_numbers
from minidiff.cli.samplers import SAMPLERS, sampler_named

SHOWN = 10  # pictures of each sampler, from the same noise


def add_parser(commands):
    parser = commands.add_parser("compare", description="Draw N pictures with each sampler at each number of "
                                 "evaluations of the net, from the same noise. OUT gets table.json, quality.png and, "
                                 "for each number, pictures-E.png.", epilog=f"Samplers: {', '.join(SAMPLERS)}.")
    parser.add_argument("--samplers", default="ddim,dpmpp_2m,unipc", metavar="A,B,...")
    parser.add_argument("--evals", default=[5, 10, 20, 50], metavar="E,F,...", help="default 5,10,20,50",
                        type=whole_numbers(1, "whole numbers from 1 on, separated by commas"))
    parser.add_argument("--out", type=Path, required=True, help="a folder")
    add_drawing(parser, n=1000)
    parser.set_defaults(run=run)


def run(args):
    names = args.samplers.split(",")
    for name in names:
        sampler_named(name).steps(min(args.evals))  # a wrong name or number is told before anything is drawn
    if args.n < 2:
        raise ValueError(f"--n must be at least 2 for a distance between sets of pictures, got {args.n}")
    import matplotlib
    matplotlib.use("Agg")

    from minidiff.training.checkpoint import write_whole
    from minidiff.training.device import pick_device
    device = pick_device(args.device)
    recipe, net = model(args, device)
    _, reason = rehearse(recipe)
    check_writable(args.out)
    table = {"checkpoint": str(args.checkpoint), "recipe": recipe.name, "grid": args.grid or "the sampler's",
             "n": args.n, "seed": args.seed, "rows": []} | ({"not_measured": reason} if reason else {})
    for count in args.evals:
        rows = {}
        for name in names:
            images = draw(recipe, net, args, device, name, count, bar(f"{name}, {count}"))
            figures, _ = measured(recipe, images, conditions(recipe, args))
            table["rows"].append({"sampler": name, "evaluations": count} | figures)
            print(f"{name:14s} {count:4d} evaluations   {in_words(figures)}".rstrip(), flush=True)
            rows[name] = images[:SHOWN]
        pictures(rows, count, args.out / f"pictures-{count}.png")
        write_whole(args.out / "table.json", json.dumps(table, indent=1) + "\n")
    if reason:
        print(f"not measured: {reason}")
    else:
        quality(table, next(name for name in table["rows"][0] if name not in ("sampler", "evaluations")),
                args.out / "quality.png")
    print(f"what was drawn: {args.out}")


def pictures(rows, count, file):
    """Draw the first pictures of every sampler under each other: the same noise in every column."""
    import matplotlib.pyplot as plt

    from minidiff.plotting import show_rows, use_house_style
    use_house_style()
    title = f"{count} evaluations, the same noise in every column"
    write_with(show_rows(list(rows.values()), title, list(rows)).figure.savefig, file)
    plt.close("all")


def quality(table, figure, file):
    """Draw a figure against the evaluations, one line a sampler, with the line of real pictures where it is known."""
    import matplotlib.pyplot as plt

    from minidiff.plotting import DATA, use_house_style
    use_house_style()
    _, ax = plt.subplots()
    for name in dict.fromkeys(row["sampler"] for row in table["rows"]):
        own = [row for row in table["rows"] if row["sampler"] == name]
        ax.loglog([r["evaluations"] for r in own], [r[figure] for r in own], "o-", label=name, markersize=4)
    real = table["rows"][0].get(f"{figure}_of_real")
    if real is not None:
        ax.axhline(real, color=DATA, linestyle="--", label="real pictures")
    best = min(table["rows"], key=lambda row: row[figure])
    ax.set(title=f"Best: {best['sampler']} with {best['evaluations']} evaluations, {figure} {best[figure]}",
           xlabel="evaluations of the net a picture", ylabel=f"{figure} of {table['n']} pictures")
    counts = sorted({row["evaluations"] for row in table["rows"]})
    ax.set_xticks(counts, [str(c) for c in counts], minor=False)
    ax.minorticks_off()
    ax.legend()
    write_with(ax.figure.savefig, file)
    plt.close("all")
