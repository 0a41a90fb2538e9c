"""python -m minidiff demo: train a diffusion model, draw 100 pictures, and say how good they are."""

import json
from argparse import Namespace
from functools import partial
from itertools import count
from pathlib import Path

from minidiff.cli.drawing import bar, check_writable, in_words, measured, rehearse, write_with
from minidiff.cli.options import add_data, add_device, data_asked_for, positive
from minidiff.data.errors import DataError
from minidiff.recipes.catalogue import find


def add_parser(commands):
    parser = commands.add_parser("demo", description="Train a model, draw with it, measure it, and show everything.")
    parser.add_argument("--recipe", default="mnist-flow", help="default mnist-flow")
    parser.add_argument("--minutes", type=positive(float), default=10.0, help="of training, default 10")
    parser.add_argument("--out", type=Path, help="a new folder; default out/demo, then out/demo-2, ...")
    add_data(parser)
    add_device(parser)
    parser.set_defaults(run=run)


def run(args):
    recipe, out = find(args.recipe), new_folder(args.out)
    if recipe.draw is None:
        raise ValueError(f"the recipe {recipe.name} draws no pictures")
    import matplotlib
    matplotlib.use("Agg")

    from minidiff.recipes.recipe import build, load, sample
    from minidiff.recipes.run import train
    from minidiff.training.checkpoint import write_whole
    from minidiff.training.device import pick_device
    from minidiff.training.interrupt import Interrupt
    device, data = pick_device(args.device), data_asked_for(args)
    data |= {"data": data_or_strokes(args.data)}
    made = build(recipe, "cuda" if device.type == "cuda" else "cpu", device=device, **data)
    _, reason = rehearse(Namespace(config=made.config, draw=recipe.draw, measure=recipe.measure, name=recipe.name))
    print(f"training {recipe.name} on {made.config['data']} for {args.minutes:g} minutes on {device}", flush=True)
    check_writable(out)
    with Interrupt() as stop:
        fitted, record = train(made, out, minutes=args.minutes, device=device, stop=stop)
    if fitted.stopped:
        print(f"stopped; the model so far: {out / 'model.safetensors'}")
        return 130
    recipe, net = load(out, device)
    n = min(1000, max(200, round(100 * args.minutes)))  # drawing takes a fraction of the time that training took
    images = sample(recipe, net, n, device=device, batch=100, progress=bar(f"drawing {n} pictures"))
    figures, reason = measured(recipe, images, recipe.draw(recipe.config).cond(n))
    record |= {"metrics": {"n": n, "evaluations": recipe.draw(recipe.config).steps} | figures}
    write_with(partial(save_first, images), out / "grid.png")
    write_with(partial(denoising_strip, recipe, net, device), out / "denoising.png")
    write_with(partial(loss_curve, fitted.losses), out / "loss.png")
    write_whole(out / "record.json", json.dumps(record, indent=1) + "\n")
    print("\n".join(report(record, figures, reason, out)))


def new_folder(chosen):
    """The folder of a demo: `chosen`, or the first of out/demo, out/demo-2, ... without a run. Raises ValueError."""
    def taken(folder):
        return any((folder / name).exists() for name in ("state.safetensors", "model.safetensors"))
    if chosen is None:
        return next(folder for k in count(1) if not taken(folder := Path("out", f"demo-{k}" if k > 1 else "demo")))
    if taken(chosen):
        raise ValueError(f"{chosen} holds a trained model, which a demo would overwrite: choose another --out")
    return chosen


def data_or_strokes(name):
    """`name`, or "strokes" with one visible line when it is mnist, neither on this machine nor to be had."""
    from minidiff.data.download import fetch
    if name == "mnist":
        try:
            fetch(name)
        except DataError as error:
            print(f"using the embedded strokes digits, for mnist is not on this machine: {error}")
            return "strokes"
    return name


def save_first(images, file):
    """Write the first hundred pictures as one PNG."""
    from minidiff.plotting import save_grid
    save_grid(images[:100], file)


def denoising_strip(recipe, net, device, file, steps=24):
    """Draw one picture on its way out of the noise by DDIM, at the share of the way that is left."""
    import torch

    from minidiff.plotting import show_strip, use_house_style
    from minidiff.process.denoiser import clipped
    from minidiff.samplers.ddim import ddim
    how = recipe.draw(recipe.config)
    path, times = how.path, how.grid(how.path, steps)
    denoiser = how.denoiser(net, path)
    denoiser = clipped(denoiser, path) if how.clip else denoiser
    cond = {name: value.to(device) for name, value in how.cond(1).items()}
    x = float(path.sigma(times[0])) * torch.randn(1, *how.shape, generator=torch.Generator().manual_seed(0)).to(device)
    kept = {"t / T = 1.00": how.decode(net, x)[0].cpu()}
    with torch.no_grad():
        for i, (s, x, _) in enumerate(ddim(partial(denoiser, **cond), x, times, path), start=1):
            if i % 3 == 0:
                kept[f"{s / path.T:.2f}"] = how.decode(net, x)[0].cpu()
    use_house_style()
    show_strip(kept, "From noise to a picture").figure.savefig(file)


def loss_curve(losses, file):
    """Draw the loss of every step, and its mean over a hundred."""
    import matplotlib.pyplot as plt
    import torch

    from minidiff.plotting import use_house_style
    use_house_style()
    _, ax = plt.subplots()
    ax.semilogy(range(1, len(losses) + 1), losses, alpha=0.3)
    smooth = torch.tensor(losses).unfold(0, min(100, len(losses)), 1).mean(dim=1)
    ax.semilogy(range(len(losses) - len(smooth) + 1, len(losses) + 1), smooth)
    ax.set(title=f"The loss falls to {smooth[-1]:.3f}", xlabel="step", ylabel="loss")
    ax.figure.savefig(file)
    plt.close("all")


def report(record, figures, reason, out):
    """Ten lines on what was made, how good it is, and what to open next."""
    n, evaluations = record["metrics"]["n"], record["metrics"]["evaluations"]
    return [
        "", f"{record['recipe']} learned {record['data']}: {record['images']} images in {record['seconds']:.0f} s, "
        f"{record['images_per_second']} images/s ({record['hardware']}).",
        f"{n} pictures, {evaluations} evaluations each: {in_words(figures) if figures else f'not measured, {reason}'}",
        f"100 pictures from noise:    {out / 'grid.png'}", f"one picture on its way:     {out / 'denoising.png'}",
        f"the loss:                   {out / 'loss.png'}", f"all figures:                {out / 'record.json'}",
        "Next: `make lab`, then open chapters/01_adding_noise.ipynb.",
    ]
