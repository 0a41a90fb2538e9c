"""python -m minidiff compare CHECKPOINT: samplers side by side, at equal numbers of evaluations."""

import json
from pathlib import Path

import matplotlib

from minidiff.cli.options import bar, positive
from minidiff.cli.walks import GRIDS, WALKS, draw, trained, walk_named
from minidiff.data.load import available
from minidiff.data.load import load as load_data
from minidiff.evaluation.digits import load_judge
from minidiff.plotting import DATA, show_rows, use_house_style
from minidiff.training.checkpoint import write_whole
from minidiff.training.device import pick_device

SHOWN = 10  # pictures of each sampler, from the same noise


def add_parser(commands):
    parser = commands.add_parser("compare", help="samplers side by side on one trained model", description="Draw N "
                                 "pictures with each sampler at each number of evaluations of the net, from the same "
                                 "noise. OUT gets table.json, quality.png and, for each number, pictures-E.png.",
                                 epilog=f"Samplers: {', '.join(WALKS)}.")
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="a .safetensors file, or the folder of a training run")
    parser.add_argument("--samplers", default="ddim,dpmpp_2m,unipc", metavar="A,B,...")
    parser.add_argument("--evals", default="5,10,20,50", metavar="E,F,...", help="default 5,10,20,50")
    parser.add_argument("--grid", choices=GRIDS, default="time", help="where the steps lie, default even in time")
    parser.add_argument("--n", type=positive(int), default=1000, help="pictures of each, default 1000")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", choices=["cpu", "cuda"], help="default: cuda where there is one")
    parser.add_argument("--out", type=Path, required=True, help="a folder")
    parser.set_defaults(run=run)


def run(args):
    matplotlib.use("Agg")
    names = args.samplers.split(",")
    evals = [whole(text) for text in args.evals.split(",")]
    for name in names:
        walk_named(name).steps(min(evals))  # a wrong name or number is told before anything is drawn
    if args.n < 2:
        raise ValueError(f"--n must be at least 2 for a Fréchet distance, got {args.n}")
    device = pick_device(args.device)
    model, judge = trained(args.checkpoint, device), load_judge()
    args.out.mkdir(parents=True, exist_ok=True)
    table = {"checkpoint": str(args.checkpoint), "grid": args.grid, "n": args.n, "seed": args.seed,
             "distance_of_real": distance_of_real(judge, args.n), "rows": []}
    for count in evals:
        rows = {}
        for name in names:
            images = draw(model, args.n, name, count, args.seed, device, args.grid, progress=bar(f"{name}, {count}"))
            table["rows"].append({"sampler": name, "evaluations": count, "distance": round(judge.distance(images), 1)})
            print(f"{name:14s} {count:4d} evaluations   distance {table['rows'][-1]['distance']}", flush=True)
            rows[name] = images[:SHOWN]
        pictures(rows, count, args.out / f"pictures-{count}.png")
        write_whole(args.out / "table.json", json.dumps(table, indent=1) + "\n")
    quality(table, args.out / "quality.png")
    if table["distance_of_real"] is not None:
        print(f"{args.n} real digits: distance {table['distance_of_real']}")
    print(f"table, figure and pictures: {args.out}")


def whole(text):
    """A number of evaluations. Raises ValueError with the option's name."""
    if not text.strip().isdigit() or int(text) < 1:
        raise ValueError(f"--evals must be whole numbers from 1 on, separated by commas, got {text!r}")
    return int(text)


def distance_of_real(judge, n):
    """The distance of n real test digits, or None where there are not as many."""
    if not available("mnist"):
        return None
    test, _ = load_data("mnist", "test")
    return round(judge.distance(test[:n]), 1) if n <= len(test) else None


def pictures(rows, count, file):
    """Draw the first pictures of every sampler under each other: the same noise in every column."""
    import matplotlib.pyplot as plt
    use_house_style()
    show_rows(list(rows.values()), f"{count} evaluations, the same noise in every column", list(rows)
              ).figure.savefig(file)
    plt.close("all")


def quality(table, file):
    """Draw the distance against the evaluations, one line a sampler, with the line of real digits."""
    import matplotlib.pyplot as plt
    use_house_style()
    _, ax = plt.subplots()
    for name in dict.fromkeys(row["sampler"] for row in table["rows"]):
        own = [row for row in table["rows"] if row["sampler"] == name]
        ax.loglog([r["evaluations"] for r in own], [r["distance"] for r in own], "o-", label=name, markersize=4)
    if table["distance_of_real"] is not None:
        ax.axhline(table["distance_of_real"], color=DATA, linestyle="--", label="real digits")
    best = min(table["rows"], key=lambda row: row["distance"])
    ax.set(title=f"Best: {best['sampler']} with {best['evaluations']} evaluations, distance {best['distance']}",
           xlabel="evaluations of the net a picture", ylabel=f"Fréchet distance of {table['n']} digits")
    counts = sorted({row["evaluations"] for row in table["rows"]})
    ax.set_xticks(counts, [str(c) for c in counts], minor=False)
    ax.minorticks_off()
    ax.legend()
    ax.figure.savefig(file)
    plt.close("all")
