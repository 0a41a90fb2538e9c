"""What diffusers and transformers compute with narrow nets of fixed random weights: sd_golden.json, for the tests

    python benchmarks/sd_golden.py        needs both packages
"""

import sys
from importlib.metadata import version
from pathlib import Path

import torch
from measuring import rounded, write

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))


def main():
    from tests.ch12.sd_oracles import oracle
    from tests.ch12.small_sd import SMALL, asked, random_net
    record = {name: version(name) for name in ("diffusers", "transformers")}
    for part, shape in SMALL.items():
        theirs = oracle(part, random_net(part, shape), shape)
        with torch.no_grad():
            x, *more = asked(part)
            answer = {"unet": lambda: theirs(x, *more).sample, "vae": lambda: theirs.decode(x).sample,
                      "text": lambda: theirs(x).last_hidden_state}[part]().flatten()
        record[part] = [rounded(value, 6) for value in answer[::len(answer) // 8][:8]]
    write(Path(__file__).with_suffix(".json"), record)


if __name__ == "__main__":
    main()
