"""python -m minidiff demo: train, sample, measure and show, in one go; `make demo` calls it."""

import json
from pathlib import Path

import matplotlib
import torch

from minidiff.cli.evaluate import measure
from minidiff.cli.options import bar, data_or_strokes, positive
from minidiff.plotting import save_grid, show_strip, use_house_style
from minidiff.process.denoiser import denoiser_of
from minidiff.recipes.mnist_ddpm import build, sample
from minidiff.recipes.mnist_ddpm import load as load_model
from minidiff.recipes.run import train
from minidiff.samplers.ancestral import ancestral
from minidiff.samplers.grids import spaced
from minidiff.training.checkpoint import write_whole
from minidiff.training.device import pick_device


def add_parser(commands):
    parser = commands.add_parser("demo", help="train a DDPM, sample 100 digits, and say how good they are")
    parser.add_argument("--minutes", type=positive(float), default=10.0, help="of training, default 10")
    parser.add_argument("--data", choices=["mnist", "strokes"], default="mnist")
    parser.add_argument("--out", type=Path, default=Path("out/demo"))
    parser.set_defaults(run=run)


def run(args):
    matplotlib.use("Agg")
    device = pick_device()
    data = "strokes" if args.data == "strokes" else data_or_strokes("mnist")
    print(f"training mnist-ddpm on {data} for {args.minutes:g} minutes on {device}", flush=True)
    fitted, record = train(build(device.type, data), args.out, minutes=args.minutes, device=device)
    net, path, target, _ = load_model(args.out / "model.safetensors")
    net = net.to(device)
    n = min(1000, max(200, round(100 * args.minutes)))  # drawing takes a fraction of the time that training took
    images = sample(net, n, 100, device=device, batch=100, progress=bar(f"sampling {n} digits"))
    found = measure(net, images, data, device)
    save_grid(images[:100], args.out / "grid.png")
    denoising_strip(net, path, target, args.out / "denoising.png", device)
    loss_curve(fitted.losses, args.out / "loss.png")
    write_whole(args.out / "record.json", json.dumps(record | {"metrics": found}, indent=1) + "\n")
    print("\n".join(report(record, found, args.out)))


def denoising_strip(net, path, target, file, device):
    """Draw one digit on its way out of the noise."""
    generator, kept = torch.Generator().manual_seed(0), {}
    x = torch.randn(1, 1, 28, 28, generator=generator)
    kept["t = 1000"] = x[0]
    denoiser = denoiser_of(net, path, target, clip=(-1, 1))
    for s, x, _ in ancestral(denoiser, x.to(device), spaced(path.T, 250), path, generator):
        if s in (800, 600, 400, 300, 200, 100, 52, 0):
            kept[f"t = {s}"] = x[0].cpu()
    use_house_style()
    show_strip(kept, "From noise to a digit").figure.savefig(file)


def loss_curve(losses, file):
    """Draw the loss of every step, and its mean over a hundred."""
    import matplotlib.pyplot as plt
    use_house_style()
    _, ax = plt.subplots()
    ax.semilogy(range(1, len(losses) + 1), losses, alpha=0.3)
    smooth = torch.tensor(losses).unfold(0, min(100, len(losses)), 1).mean(dim=1)
    ax.semilogy(range(len(losses) - len(smooth) + 1, len(losses) + 1), smooth)
    ax.set(title=f"The loss falls to {smooth[-1]:.3f}", xlabel="step", ylabel="mean squared error of the noise")
    ax.figure.savefig(file)
    plt.close("all")


def report(record, found, out):
    """Ten lines on what was made, how good it is, and what to open next."""
    real = found["distance_of_real"]
    return [
        "", f"A DDPM learned {record['data']}: {record['images']} images in {record['seconds']:.0f} s, "
        f"{record['images_per_second']} images/s ({record['hardware']}).",
        f"Error of the predicted noise on test digits: {found['eps_mse_test']}.",
        f"Fréchet distance of {found['n']} of its digits to the training set: {found['distance']}.",
        f"The same for {found['n']} real test digits: {real}. Noise would be in the hundreds.",
        f"100 digits from noise:      {out / 'grid.png'}", f"one digit on its way:       {out / 'denoising.png'}",
        f"the loss:                   {out / 'loss.png'}", f"all figures:                {out / 'record.json'}",
        "Next: `make lab`, then open chapters/01_adding_noise.ipynb.",
    ]
