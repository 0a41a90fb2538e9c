"""`python -m minidiff.grading report`: what a class found easy and hard, and what a person must read."""

import json
from collections import Counter, defaultdict
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.ticker import MaxNLocator

from minidiff.grading import answers
from minidiff.grading.mark import GradingError, notebooks
from minidiff.grading.page import plain, quoted
from minidiff.grading.run import counted, solution
from minidiff.plotting import DATA, FIXED, LEARNED, use_house_style
from minidiff.training.checkpoint import write_whole

FEW = 4  # students: an answer that more of them share is the usual one, and says nothing about these
SHOWN = 10  # groups on the screen; the file has all
STATES = {"passed": FIXED, "not passed": LEARNED, "not started": DATA, "missing": "#000000"}


def add_command(commands):
    """Add `report` to the subcommands of `python -m minidiff.grading`."""
    parser = commands.add_parser("report", help="sum up a marked class", description=(
        "Prints for every exercise the share of the class that passed and the most missed case, and which answers are "
        "the same up to names and comments (a fact, not a verdict: short answers often are). Writes the same, with all "
        "written answers that a person must read, to OUT/report-chNN.md, and the distribution of the points to "
        "OUT/report-chNN.png."))
    parser.add_argument("out", type=Path, metavar="OUT", help="the folder that `run` wrote")
    parser.set_defaults(command=command)


def command(args):
    """Run `report` with parsed arguments. Returns the exit status; raises GradingError."""
    try:
        students = json.loads((args.out / "run.json").read_text(encoding="utf-8"))["students"]
        sheets = [s for name in students.values()
                  for s in json.loads((args.out / f"{name}.json").read_text(encoding="utf-8"))]
    except (OSError, ValueError, KeyError):
        raise GradingError(f"{args.out}: no marks there; `python -m minidiff.grading run` writes them") from None
    for chapter in sorted({s["chapter"] for s in sheets} - {""}):
        own = [s for s in sheets if s["chapter"] == chapter]
        head, *said = lines(chapter, own)
        page = args.out / f"report-{chapter}"
        write_whole(f"{page}.md", "\n".join([f"# {head}", "", *said, *to_be_read(own)]) + "\n")
        draw(own, chapter, f"{page}.png")
        print(head, *lines(chapter, own, SHOWN)[1:], f"More in {page}.md and, as a picture, in {page}.png", sep="\n")
    return 0


def lines(chapter, sheets, shown=None):
    """The report of a chapter, line by line, without the written answers; shown: how many groups (None: all)."""
    out = [f"{chapter}: {counted(sheets, 'notebook')}, {sum(bool(s['problem']) for s in sheets)} of them unreadable"]
    for id, marks in by_exercise(sheets).items():
        states, missed = Counter(m["state"] for m in marks), Counter()
        missed.update(c["says"] for m in marks for c in m["cases"] if not c["passed"])
        mean = sum(m["points"] for m in marks) / len(marks)
        out.append(f"- {id}: {100 * states['passed'] / len(marks):.0f} % passed, {mean:.2g} of {marks[0]['of']} points "
                   f"on average, {states['not started'] + states['missing']} not started")
        out += [f"  - most missed ({times} times): {says}" for says, times in missed.most_common(1)]
    for id, texts in written(sheets).items():
        out.append(f"- {id}: to be read, {sum(map(bool, texts.values()))} of {len(sheets)} written")
    groups, usual = alike(sheets, own_answers(chapter))
    if groups or usual:
        out += ["", "The same up to names and comments (a fact, not a verdict):", ""]
    out += [plain(f"- {', '.join(students[:-1])} and {students[-1]}: {', '.join(ids)}")
            for students, ids in groups[:shown]]
    out += [f"- and {counted(groups[shown:], 'group')} more"] if shown is not None and len(groups) > shown else []
    return out + [f"- {id}: {len(students)} students{', as in solutions/' if own else ''}"
                  for id, students, own in usual]


def by_exercise(sheets):
    """{id: marks of all students}, without the written questions."""
    marks = defaultdict(list)
    for mark in (m for s in sheets for m in s["marks"] if m["state"] != "to be read"):
        marks[mark["id"]].append(mark)
    return dict(marks)


def written(sheets):
    """The written answers, {id: {student: text or ''}}."""
    texts = defaultdict(dict)
    for sheet in sheets:
        for mark in sheet["marks"]:
            if mark["state"] == "to be read":
                texts[mark["id"]][sheet["student"]] = mark["text"]
    return dict(texts)


def to_be_read(sheets):
    """The written answers of a class, line by line: question by question, so that a person reads like with like."""
    out = []
    for id, texts in written(sheets).items():
        out += ["", f"## {id}: to be read"]
        out += [line for student, text in texts.items() if text for line in ("", f"**{plain(student)}**", "",
                                                                             *quoted(text))]
        silent = [student for student, text in texts.items() if not text]
        out += ["", f"Nothing written: {', '.join(map(plain, silent))}."] if silent else []
    return out


def alike(sheets, own=()):
    """Answers that are one text up to names and comments: ([(students, ids)], most first; [(id, students, own?)]).

    The second list has those that more than FEW students share; own: the texts of the course's own answers.
    """
    by_text, groups = defaultdict(list), defaultdict(list)
    for sheet in sheets:
        for mark in sheet["marks"]:
            if mark["digest"]:
                by_text[mark["id"], mark["digest"]].append(sheet["student"])
    for (id, _), students in by_text.items():
        if 2 <= len(students) <= FEW:
            groups[tuple(sorted(students))].append(id)
    usual = [(id, sorted(students), text in own) for (id, text), students in by_text.items() if len(students) > FEW]
    return sorted(groups.items(), key=lambda item: (-len(item[1]), item[0])), sorted(usual)


def own_answers(chapter):
    """The texts of the course's own answers, as `alike` compares them."""
    cells = answers.read(solution(chapter).path) if chapter in notebooks() else []
    return {answers.digest(cell.source) for cell in cells if cell.kind == "code" and cell.exercise}


def draw(sheets, chapter, path):
    """The distribution of the points, and how each exercise stands, as a picture."""
    marks = by_exercise(sheets)
    if not marks:  # the grader failed on every file
        return
    use_house_style()
    figure, (left, right) = plt.subplots(1, 2, figsize=(9, 1.6 + 0.3 * max(5, len(marks))))
    of, points = max(s["of"] for s in sheets), sorted(s["points"] for s in sheets)
    left.hist(points, bins=range(int(of) + 2), align="left", rwidth=0.9, color=FIXED)
    for axis in (left.xaxis, left.yaxis):
        axis.set_major_locator(MaxNLocator(integer=True))
    left.set(title=f"{chapter}: half have {points[len(points) // 2]:.3g} points or more",
             xlabel=f"points (of {of}), rounded down", ylabel="notebooks")
    start = [0] * len(marks)
    for state, colour in STATES.items():
        share = [100 * sum(m["state"] == state for m in some) / len(some) for some in marks.values()]
        right.barh([id.split(".")[1] for id in marks], share, left=start, color=colour, label=state)
        start = [a + b for a, b in zip(start, share)]
    right.set(title=hardest(marks), xlabel="% of the notebooks")
    right.invert_yaxis()
    right.legend(loc="upper left", bbox_to_anchor=(1, 1))
    figure.savefig(path, dpi=120)
    plt.close(figure)


def hardest(marks):
    """Which exercise the fewest passed, in words. marks: {id: marks of all students}."""
    passed = {id: sum(m["state"] == "passed" for m in some) for id, some in marks.items()}
    least = [id.split(".")[1] for id in passed if passed[id] == min(passed.values())]
    if len(least) == 1:
        return f"{least[0]} passes least often"
    return f"{len(least)} of {len(passed)} exercises pass least often" if len(least) < len(passed) else (
        "no exercise passes less often than another")
