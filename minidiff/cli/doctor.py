"""python -m minidiff doctor: is this machine ready for the course?"""

from minidiff.doctor import report


def add_parser(commands):
    parser = commands.add_parser("doctor", help="check this machine", description="Check Python, torch, device, "
                                 "notebook kernel, data, folders, disk, checkpoints; exit status 1 if one is wrong.")
    parser.set_defaults(run=run)


def run(args):
    return report()
