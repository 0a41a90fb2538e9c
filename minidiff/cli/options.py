"""Options that several commands share. Nothing heavy is imported here, so that every --help is quick."""

import argparse
import math
from pathlib import Path


def positive(kind):
    """An argparse type: a finite number of `kind` (int or float) above 0."""
    def read(text):
        try:
            value = kind(text)
        except ValueError:
            value = 0
        if not (value > 0 and math.isfinite(value)):
            wanted = "a positive whole number" if kind is int else "a positive number"
            raise argparse.ArgumentTypeError(f"must be {wanted}, got {text}")
        return value
    return read


def finite(text):
    """An argparse type: a finite number."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"must be a finite number, got {text}")
    return value


def share(text):
    """An argparse type: a number above 0 and at most 1."""
    value = finite(text)
    if not 0 < value <= 1:
        raise argparse.ArgumentTypeError(f"must lie above 0 and be at most 1, got {text}")
    return value


def rising_shares(text):
    """An argparse type: LOW,HIGH with 0 <= LOW < HIGH <= 1, as two numbers."""
    try:
        low, high = map(float, text.split(","))
    except ValueError:
        low = high = math.nan
    if not 0 <= low < high <= 1:
        raise argparse.ArgumentTypeError(f"must be LOW,HIGH with 0 <= LOW < HIGH <= 1, got {text}")
    return low, high


def whole_numbers(least, what):
    """An argparse type: whole numbers from `least` on, separated by commas, as a list; errors say that it is `what`."""
    def read(text):
        parts = text.split(",")
        if not all(part.strip().isdecimal() and int(part) >= least for part in parts):
            raise argparse.ArgumentTypeError(f"must be {what}, got {text!r}")
        return [int(part) for part in parts]
    return read


def add_checkpoint(parser):
    """Add the trained model that a command works on."""
    parser.add_argument("checkpoint", metavar="CHECKPOINT", help="a .safetensors file, or the folder of a training run")


def add_device(parser):
    """Add --device."""
    parser.add_argument("--device", choices=["cpu", "cuda", "mps"], help="default: cuda where there is one, else cpu")


def add_data(parser):
    """Add --data and --shape, which `data_asked_for` reads."""
    parser.add_argument("--data", default="mnist", metavar="NAME|FOLDER", help="strokes, a data set of `minidiff data "
                        "list`, or a folder of PNG and JPEG files, whose subfolders are classes; default mnist")
    parser.add_argument("--shape", type=whole_numbers(1, "C,H,W, such as 3,32,32"), metavar="C,H,W",
                        help="to which the pictures of a FOLDER are cropped and scaled; default the recipe's")


def data_asked_for(args):
    """The arguments of `build` that --data and --shape mean: {"data": ..., "shape": ...}. Raises ValueError."""
    if args.shape is None:
        return {"data": args.data}
    if len(args.shape) != 3 or not Path(args.data).expanduser().is_dir():
        raise ValueError(f"--shape C,H,W goes with a folder of pictures, got --data {args.data} and --shape "
                         f"{','.join(map(str, args.shape))}")
    return {"data": args.data, "shape": args.shape}
