"""How often is the judge of shapes right, about pictures and about wrong captions? benchmarks/shapes_judge.json

    python benchmarks/shapes_judge.py        about a minute on one core
"""

import json
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from scipy import ndimage

from minidiff.data.shapes import shapes
from minidiff.data.shapes_words import COLOURS, RELATIONS, SHAPES, SIZES, Description
from minidiff.evaluation.shapes_judge import obeys, rates
from minidiff.evaluation.shapes_read import read
from minidiff.recipes.run import hardware
from minidiff.training.checkpoint import write_whole

EACH, SEED, NEAR = 2500, 1, 1.0  # scenes of each split; pixels within which a centre is right


def conditions(pictures):
    """The pictures (N, 3, 32, 32) as they are, with noise, and blurred by a Gaussian of half a pixel."""
    noise = torch.randn(pictures.shape, generator=torch.Generator().manual_seed(SEED))
    blurred = ndimage.gaussian_filter(pictures.numpy(), (0, 0, 0.5, 0.5), mode="nearest")
    return {"clean": pictures, "noise 0.1": pictures + 0.1 * noise, "blur 0.5": torch.from_numpy(blurred)}


def exactly(reading, scenes, i):
    """Whether a Reading has all objects of scene i, and no other, each in its colour, shape and size at its place."""
    left = list(reading.objects)
    for k, (x, y) in zip(scenes.things[i].tolist(), scenes.centres[i].tolist(), strict=True):
        if k >= 0:
            thing = scenes.descriptions[i].things[k]
            same = [seen for seen in left if max(abs(seen.x - x), abs(seen.y - y)) <= NEAR
                    and (seen.colour, seen.shape, seen.size) == (thing.colour, thing.shape, thing.size)]
            if not same:
                return False
            left.remove(same[0])
    return not left


def wrong(description, rng):
    """Descriptions that are false in one point each: a dict from the point to the Description."""
    k = rng.integers(len(description.things))
    thing, others = description.things[k], description.things

    def other(value, values):
        return str(rng.choice([v for v in values if v != value]))

    def with_thing(**change):
        return replace(description, things=(*others[:k], replace(thing, **change), *others[k + 1:]))

    false = {"colour": with_thing(colour=other(thing.colour, COLOURS)), "number": with_thing(count=thing.count % 3 + 1),
             "shape": with_thing(shape=other(thing.shape, SHAPES)), "size": with_thing(size=other(thing.size, SIZES))}
    if description.relations:
        j = rng.integers(len(description.relations))
        relations = list(description.relations)
        relations[j] = other(relations[j], RELATIONS)
        false["relation"] = replace(description, relations=tuple(relations))
    if len(others) == 2:
        false["things exchanged"] = Description(others[::-1], description.relations)
        a, b = others
        if a.colour != b.colour and (a.shape, a.count) != (b.shape, b.count):
            false["colours exchanged"] = replace(
                description, things=(replace(a, colour=b.colour), replace(b, colour=a.colour)))
    return false


def main():
    torch.set_num_threads(1)
    start, of_condition, refused, seconds = time.monotonic(), {}, {}, 0.0
    for split in ("train", "test"):
        scenes, rng = shapes(EACH, SEED, split), np.random.default_rng(SEED)
        for name, pictures in conditions(scenes.pictures).items():
            begun = time.process_time()
            readings = read(pictures)
            seconds += time.process_time() - begun
            found = of_condition.setdefault(name, {"verdicts": [], "exact": []})
            found["verdicts"] += [obeys(reading, d) for reading, d in zip(readings, scenes.descriptions, strict=True)]
            found["exact"] += [exactly(reading, scenes, i) for i, reading in enumerate(readings)]
            if name == "clean":
                for reading, description in zip(readings, scenes.descriptions, strict=True):
                    for point, false in wrong(description, rng).items():
                        refused.setdefault(point, []).append(not obeys(reading, false).whole)
    record = {
        "what": f"{2 * EACH} scenes, half of them with held-out combinations: the part that is read rightly",
        "pictures": 2 * EACH,
        "read": {name: {"exactly": digits(np.mean(found["exact"]))}
                 | {part: digits(rate) for part, rate in rates(found["verdicts"]).items()}
                 for name, found in of_condition.items()},
        "wrong captions refused, clean": {point: {"captions": len(no), "refused": digits(np.mean(no))}
                                          for point, no in refused.items()},
        "milliseconds a picture": round(1000 * seconds / (2 * EACH * len(of_condition)), 2),
        "seed": SEED, "seconds": round(time.monotonic() - start, 1), "hardware": hardware(), "torch": torch.__version__,
    }
    text = json.dumps(record, indent=1)
    write_whole(Path(__file__).with_suffix(".json"), text + "\n")
    print(text)


def digits(rate):
    return round(float(rate), 5)


if __name__ == "__main__":
    main()
