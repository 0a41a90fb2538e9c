"""python -m minidiff port MODEL FILE...: published weights become a model of the course."""

from pathlib import Path


def add_parser(commands):
    parser = commands.add_parser("port", description="Read published weights, from safetensors alone, and write them "
                                 "as a model of the course, which draw --model takes. Every tensor must be known, of "
                                 "the right shape, and used.")
    parser.add_argument("model", choices=["sd15"], help="sd15: Stable Diffusion 1.5")
    parser.add_argument("files", nargs="+", metavar="FILE", type=Path, help="a folder as diffusers lays it out; or the "
                        ".safetensors of one file for all nets or of one for each, and merges.txt")
    parser.add_argument("--dtype", choices=["float16", "float32"], default="float16", help="of the weights that are "
                        "written; default float16, half the size")
    parser.add_argument("--out", type=Path, help="folder, default out/MODEL")
    parser.set_defaults(run=run)


def run(args):
    from minidiff.places import own_folder
    from minidiff.recipes.porting import port_sd15
    out = args.out or own_folder("out") / args.model
    record = port_sd15(args.files, out, args.dtype)
    for file in record["files"]:
        same = f", which is {file['published']} as it was published" if file["published"] else ""
        print(f"{file['name']}: sha256 {file['sha256']}{same}")
    print(f"{sum(record['weights'].values()):,} weights in {out}; to draw: python -m minidiff draw 'a photograph of a "
          f"red fox' --model {args.out or args.model} --out fox.png")
