"""python -m minidiff data list | get NAME | verify: the data sets of the course on this machine."""

from minidiff.data.errors import DataError
from minidiff.data.registry import datasets, downloads, locate

EMBEDDED = {
    "strokes": "digits, drawn by the course, no download",
    "shapes": "captioned scenes, drawn by the course, no download",
    "emoji": "4,874 captioned pictures, part of the course; Apache-2.0 (noto), CC BY 4.0 (twemoji), MIT (fluent)",
    "openmoji": "400 pictures in a fourth style, part of the course; CC BY-SA 4.0",
}


def add_parser(commands):
    parser = commands.add_parser("data", description="The data sets of the course, in $MINIDIFF_DATA or in "
                                 f"{downloads()}. Some are drawn by the course or part of it.")
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    actions.add_parser("list", help="what there is, how large, under which licence, and whether it is here")
    get = actions.add_parser("get", help="download a data set and verify it")
    get.add_argument("name", metavar="NAME", help="as `data list` names it")
    actions.add_parser("verify", help="compare the files that are here with the published digests")
    parser.set_defaults(run=run)


def run(args):
    if args.action == "list":
        print("\n".join(listing()))
    elif args.action == "get":
        for path in get(args.name):
            print(path)
    else:
        print("\n".join(verified()))


def listing():
    """One line for each data set. Raises DataError when the registry cannot be read."""
    yield from (f"{name:13}  {what}" for name, what in EMBEDDED.items())
    for name, entry in datasets().items():
        here = sum(locate(name, file) is not None for file in entry.files)
        state = "here" if here == len(entry.files) else f"{here} of {len(entry.files)} files here"
        size = sum(file.bytes for file in entry.files) / 1e6
        yield f"{name:13}  {entry.title}; {size:.1f} MB, {entry.licence}; {state}"


def get(name):
    """Download what is missing of a data set, verify it, and return its paths. Raises DataError."""
    if name in EMBEDDED:
        raise DataError(f"{name} needs no download: {EMBEDDED[name]}")
    from minidiff.data.download import fetch
    return fetch(name)


def verified():
    """One line for each file of the registry. Raises DataError that names every damaged file."""
    from minidiff.data.load import ABSENT, verify
    found = [(f"{name}/{file}", problem) for name in datasets() for file, problem in verify(name)]
    damaged = [problem for _, problem in found if problem not in (None, ABSENT)]
    if damaged:
        raise DataError(f"{'; '.join(damaged)}; delete what is damaged, and download it anew with `data get`")
    return [f"{file}: {problem or 'ok'}" for file, problem in found]
