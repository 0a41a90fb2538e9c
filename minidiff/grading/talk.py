"""What the process for answers may say about a job, and nothing else: anything that is not in here ends it.

A frame is a letter, the number of its job, and a body:
  r  what a notebook answers (`plan.reading`), or {problem}, once
  i  '1' or '0': does the answer run isolated? once, and first
  c  the number of the cell that begins
  s  the number of a cell that took too long
  m  what one call gave: {index, value, error, unwritten, changed, drew}, case by case in their order
  e  {stopped}: why the job ended early, or ''; said by the process that watches the job
A job ends its own frames with d, which its watcher keeps.
"""

import struct
from dataclasses import dataclass, field

from minidiff.exercises.judge import Attempt
from minidiff.grading import wire
from minidiff.grading.wire import WireError

NUMBER = struct.Struct("<I")
MOST = {b"r": wire.FRAME, b"i": 1, b"c": NUMBER.size, b"s": NUMBER.size, b"m": wire.FRAME}  # bytes of a body
WORDS = 400  # characters of an error
STATES = ("found", "missing", "not started", "broken")
ATTEMPT = {"index": int, "value": object, "error": str, "unwritten": bool, "changed": str, "drew": bool}
ANSWER = {"state": str, "note": str, "digest": str, "at": int, "runs": list}


@dataclass(frozen=True)
class Reading:
    """What a notebook answers: see `plan.reading`; problem: why it is none, or ''."""
    cells: list = ()
    answers: dict = field(default_factory=dict)
    written: dict = field(default_factory=dict)
    problem: str = ""


@dataclass
class Talk:
    """What has been said about one job. cases: the numbers of the cases that it was asked for; cells: of its cells."""
    cases: list
    cells: list
    tried: dict = field(default_factory=dict)
    isolated: bool | None = None
    cell: int | None = None
    slow: set = field(default_factory=set)
    told: bytes | None = None
    stopped: str | None = None

    @property
    def frames(self):
        """The most frames that the job itself may send."""
        return 3 + 2 * len(self.cells) + len(self.cases)

    def hear(self, letter, body):
        """Take one frame in. Raises WireError for whatever such a job does not say."""
        if letter == b"e":
            self.stopped, = wire.fields(wire.unpack(body), {"stopped": str})
        elif letter == b"r" and not self.cases and self.told is None:
            self.told = body
        elif letter == b"i" and self.cases and self.isolated is None and body in (b"0", b"1"):
            self.isolated = body == b"1"
        elif letter in (b"c", b"s") and len(body) == NUMBER.size and NUMBER.unpack(body)[0] in self.cells:
            self.cell, = NUMBER.unpack(body)
            self.slow |= {self.cell} if letter == b"s" else set()
        elif letter == b"m" and len(self.tried) < len(self.cases):
            index, value, error, unwritten, changed, drew = wire.fields(wire.unpack(body), ATTEMPT)
            if index != self.cases[len(self.tried)] or len(error) > WORDS or len(changed) > WORDS:
                raise WireError("not a message (attempt)")
            self.tried[index] = Attempt(value, wire.printable(error, WORDS), unwritten,
                                        wire.printable(changed, WORDS), drew)
        else:
            raise WireError("not a message (letter)")


def reading_of(body, ids, questions):
    """The Reading in the body of a frame r. ids: the chapter's exercises; questions: its written ones. WireError."""
    told = wire.unpack(body, MOST[b"r"])
    if type(told) is dict and told.keys() == {"problem"}:
        return Reading(problem=wire.printable(*wire.fields(told, {"problem": str}), WORDS))
    cells, answers, written, _ = wire.fields(
        told, {"cells": list, "answers": dict, "written": dict, "problem": str})
    if list(answers) != list(ids) or list(written) != list(questions) or not all(type(c) is str for c in cells):
        raise WireError("not a message (reading)")
    if not all(text is None or type(text) is str for text in written.values()):
        raise WireError("not a message (written)")
    return Reading(cells, {id: _answer(told, len(cells)) for id, told in answers.items()}, written)


def _answer(told, cells):
    state, note, digest, at, runs = wire.fields(told, ANSWER)
    plain = all(type(run) is list and all(type(i) is int and 0 <= i < cells for i in run) and at in run for run in runs)
    if state not in STATES or not plain or len(runs) > 2 or (state == "found") != bool(runs) or len(digest) > 64:
        raise WireError("not a message (answer)")
    return {"state": state, "note": wire.printable(note, WORDS), "digest": digest, "at": at, "runs": runs}
