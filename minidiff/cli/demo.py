"""python -m minidiff demo: train, sample, measure and show, in one go; `make demo` calls it."""

import json
from pathlib import Path

import matplotlib
import torch

from minidiff.cli.evaluate import measure, sentences
from minidiff.cli.options import bar, data_or_strokes, positive, recipe
from minidiff.cli.walks import draw, grid_of, in_real_time, trained
from minidiff.plotting import save_grid, show_strip, use_house_style
from minidiff.recipes.run import train
from minidiff.samplers.ddim import ddim
from minidiff.training.checkpoint import write_whole
from minidiff.training.device import pick_device

SAMPLER, EVALUATIONS = "dpmpp_2m", 20


def add_parser(commands):
    parser = commands.add_parser("demo", help="train a diffusion model, draw 100 digits, and say how good they are")
    parser.add_argument("--recipe", default="mnist-flow", help="default mnist-flow")
    parser.add_argument("--minutes", type=positive(float), default=10.0, help="of training, default 10")
    parser.add_argument("--data", choices=["mnist", "strokes"], default="mnist")
    parser.add_argument("--out", type=Path, default=Path("out/demo"))
    parser.set_defaults(run=run)


def run(args):
    matplotlib.use("Agg")
    device, module = pick_device(), recipe(args.recipe)
    data = "strokes" if args.data == "strokes" else data_or_strokes("mnist")
    print(f"training {args.recipe} on {data} for {args.minutes:g} minutes on {device}", flush=True)
    fitted, record = train(module.build(device.type, data), args.out, minutes=args.minutes, device=device)
    model = trained(args.out, device)
    n = min(1000, max(200, round(100 * args.minutes)))  # drawing takes a fraction of the time that training took
    images = draw(model, n, SAMPLER, EVALUATIONS, device=device, batch=100, progress=bar(f"drawing {n} digits"))
    found = measure(model, images, device) | {"sampler": SAMPLER, "evaluations": EVALUATIONS}
    save_grid(images[:100], args.out / "grid.png")
    denoising_strip(model, args.out / "denoising.png", device)
    loss_curve(fitted.losses, record["target"], args.out / "loss.png")
    write_whole(args.out / "record.json", json.dumps(record | {"metrics": found}, indent=1) + "\n")
    print("\n".join(report(record, found, args.out)))


def denoising_strip(model, file, device, steps=24):
    """Draw one digit on its way out of the noise, at the share of the way that is left."""
    path, denoiser = in_real_time(model)
    times = grid_of(path, steps)
    x = float(path.sigma(times[0])) * torch.randn(1, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    cond = {"label": torch.tensor([3], device=device)} if "label" in model.net.embed.extra else {}
    kept = {"t / T = 1.00": x[0]}
    walk = ddim(lambda x, t: denoiser(x, t, **cond), x.to(device), times, path)
    for i, (s, x, _) in enumerate(walk, start=1):
        if i % 3 == 0:
            kept[f"{s / path.T:.2f}"] = x[0].cpu()
    use_house_style()
    show_strip(kept, "From noise to a digit").figure.savefig(file)


def loss_curve(losses, target, file):
    """Draw the loss of every step, and its mean over a hundred."""
    import matplotlib.pyplot as plt
    use_house_style()
    _, ax = plt.subplots()
    ax.semilogy(range(1, len(losses) + 1), losses, alpha=0.3)
    smooth = torch.tensor(losses).unfold(0, min(100, len(losses)), 1).mean(dim=1)
    ax.semilogy(range(len(losses) - len(smooth) + 1, len(losses) + 1), smooth)
    ax.set(title=f"The loss falls to {smooth[-1]:.3f}", xlabel="step", ylabel=f"mean squared error of {target}")
    ax.figure.savefig(file)
    plt.close("all")


def report(record, found, out):
    """Ten lines on what was made, how good it is, and what to open next."""
    return [
        "", f"{record['recipe']} learned {record['data']}: {record['images']} images in {record['seconds']:.0f} s, "
        f"{record['images_per_second']} images/s ({record['hardware']}).", *sentences(found),
        f"100 digits from noise:      {out / 'grid.png'}", f"one digit on its way:       {out / 'denoising.png'}",
        f"the loss:                   {out / 'loss.png'}", f"all figures:                {out / 'record.json'}",
        "Next: `make lab`, then open chapters/01_adding_noise.ipynb.",
    ]
