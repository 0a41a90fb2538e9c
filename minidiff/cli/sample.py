"""python -m minidiff sample CHECKPOINT: draw pictures from a trained model."""

from minidiff.cli.drawing import (add_drawing, add_out, add_sampler, bar, check_out, draw, model, write_pictures)


def add_parser(commands):
    parser = commands.add_parser("sample", description="Draw pictures from a trained model into a PNG grid, or an NPY "
                                 "file: float32, (N, C, H, W), in [-1, 1].")
    add_out(parser)
    add_drawing(parser, n=64)
    add_sampler(parser)
    parser.set_defaults(run=run)


def run(args):
    check_out(args.out)
    from minidiff.training.device import pick_device
    device = pick_device(args.device)
    recipe, net = model(args, device)
    write_pictures(draw(recipe, net, args, device, args.sampler, args.steps, bar("sampling")), args.out)
    print(f"{args.n} pictures in {args.out}")
