"""Classes of generated students, with the marks that they must get: right, partly right, every mutant, every abuse."""

import random
from dataclasses import dataclass, field

from minidiff.exercises.core import exercises
from minidiff.grading.selftest import as_cells
from tests import mutants
from tests.submissions import ID, corpus, save, solved, with_answers
from tests.submissions.honest import HONEST
from tests.submissions.notebooks import ODD

WORST = ("floods_the_grader_with_empty_frames", "forges_a_tensor_of_5000_dimensions", "fork_bomb", "ignores_signals",
         "kills_its_parent", "a_needed_cell_that_loops", "odd-ten_megabytes_of_code", "many_small_things")
ALSO = {"a_star_import_in_another_cell":  # from here on `float` is torch's: this one fails in Jupyter, too
        {"ch01.brightness_ratio": ("not passed", 0)}}
LOOP = "def {name}(*args, **kwargs):\n    while True:\n        pass"


@dataclass
class Student:
    """A notebook (or its bytes), and where it gets no full marks: {id: (state, points, or None for less than full)}."""
    name: str
    notebook: object
    marks: dict = field(default_factory=dict)
    isolated: bool = False  # these marks hold only where answers run isolated

    def hand_in(self, folder, chapter):
        """Write the notebook to a folder of this name."""
        path = save(self.notebook if isinstance(self.notebook, dict) else {}, folder / self.name, chapter)
        if isinstance(self.notebook, bytes):
            path.write_bytes(self.notebook)

    def wrong_marks(self, chapter, row):
        """What of a row of grades.csv is not as it must be, [(name, id, got, expected)]."""
        out = []
        for id, exercise in exercises(chapter).items():
            state, points = self.marks.get(id, ("passed", exercise.points))
            got = row[f"{id} state"], float(row[f"{id} points"])
            if got[0] != state or (got[1] >= exercise.points if points is None else got[1] != points):
                out.append((self.name, id, got, (state, points)))
        return out


def from_answers(name, chapter, answers, state="not passed", points=None):
    """A student who answers some exercises by known functions {id: fn}."""
    cells, there = {}, set()
    for id, fn in answers.items():
        helpers, answer = as_cells(id, fn)
        cells[id] = [*(h for h in helpers if h not in there), answer]
        there |= set(helpers)
    marks = {} if state == "passed" else {id: (state, points) for id in answers}
    return Student(name, with_answers(chapter, cells), marks)


def right(n, chapter):
    """n students whose answers are those of the course."""
    return [Student(f"right-{i}", solved(chapter)) for i in range(n)]


def partly_right(n, chapter, seed=0):
    """n students who have not started one exercise or more."""
    out, chance = [], random.Random(seed)
    for i in range(n):
        ids = chance.sample(sorted(exercises(chapter)), chance.randint(1, len(exercises(chapter)) - 1))
        stubs = {id: [f'def {id[5:]}(*args, **kwargs):\n    raise NotImplementedError("{id}")'] for id in ids}
        out.append(Student(f"partly-{i}", with_answers(chapter, stubs), {id: ("not started", 0) for id in ids}))
    return out


def every_known_answer(chapter):
    """Students who between them give all answers of tests/mutants, one of each exercise."""
    out = []
    for kind, of, state in (("wrong", mutants.mutants, "not passed"), ("other", mutants.alternatives, "passed")):
        known = {id: list(of(id).values()) for id in exercises(chapter)}
        out += [from_answers(f"{kind}-{i}", chapter, {id: fns[i] for id, fns in known.items() if i < len(fns)}, state)
                for i in range(max(map(len, known.values())))]
    return out


def every_abuse(chapter):
    """Students who try to break, fool or stop the grader, and notebooks that programs and accidents have changed."""
    out = []
    for k in corpus():
        if k.id.startswith(chapter):
            points = k.points if k.memory is None else None  # with more memory than that, some checks may pass
            marks = {} if k.state == "passed" else {k.id: (k.state, points)}
            marks |= ALSO.get(k.name, {})
            out.append(Student(k.name, with_answers(chapter, {k.id: k.cells}), marks, k.isolated))
    for name, (make, state, points) in ODD.items() if ID.startswith(chapter) else ():
        made = make(solved(chapter))
        whole = isinstance(made, bytes) and state == "missing"  # a file that cannot be read has no answers at all
        out.append(Student(f"odd-{name}", made, {id: (state, 0) for id in exercises(chapter)} if whole else
                           {ID: (state, points)}))
    return out


def honest(chapter):
    """Students who did nothing wrong, each in a style of its own: all of them get full marks."""
    styles = [Student(f"honest-{name}", change(solved(chapter))) for name, (change, _) in HONEST.items()]
    return styles + [s for s in every_abuse(chapter) if not s.marks or all(m[0] == "passed" for m in s.marks.values())]


def with_attacks(students, chapter):
    """The same class, but ten of its notebooks cost the grader as much as they can: in one exercise, or in all."""
    worst = [s for s in every_abuse(chapter) if s.name in WORST]
    loops = {id: [LOOP.format(name=id[5:])] for id in exercises(chapter)}
    worst += [Student(f"loops-{i}", with_answers(chapter, loops), {id: ("not passed", 0) for id in loops})
              for i in range(10 - len(worst))]
    return [*(Student(s.name, bad.notebook, bad.marks) for s, bad in zip(students, worst)), *students[len(worst):]]
