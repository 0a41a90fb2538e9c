"""python -m minidiff doctor: is this machine ready for the course?"""


def add_parser(commands):
    parser = commands.add_parser("doctor", description="Check Python, packages, torch, device, notebook kernel, data, "
                                 "folders, disk, checkpoints; exit status 1 if one is wrong.")
    parser.set_defaults(run=run)


def run(args):
    from minidiff.doctor import report
    return report()
