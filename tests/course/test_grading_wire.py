"""The grader hears what the process for answers may say, and ends it for anything else: nothing else happens."""

import json
import queue
import time

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minidiff.exercises.core import exercises
from minidiff.exercises.judge import verdict
from minidiff.grading import talk, wire
from minidiff.grading.nursery import SURPRISE, Limits, Nursery
from minidiff.grading.talk import NUMBER, Talk

NUMBERS = 7  # of the job that is asked for
EXAMPLES, FRAMES = 200, 50  # together 10,000 frames
GOOD = {"index": 0, "value": torch.ones(2, 3), "error": "", "unwritten": False, "changed": "", "drew": False}


@pytest.mark.parametrize("value", [None, True, 3, -1.5, float("inf"), 2 + 1j, "text", (1, [2.0, None]), {"a": (1,)}])
def test_plain_values_cross_the_wire(value):
    assert wire.unpack(wire.pack(value)) == value


@pytest.mark.parametrize("data", [b"", b"x" * 7, b"\xff" * 8, wire.LENGTH.pack(3) + b"[1]", wire.pack(1)[:-1],
                                  wire.pack(1) + b"!", wire.LENGTH.pack(18) + b'{"tensor":["x",[]]}',
                                  wire.LENGTH.pack(wire.HEADER + 2) + b"[" + b"0" * wire.HEADER + b"]"])
def test_bytes_that_are_no_message_are_refused(data):
    with pytest.raises(wire.WireError):
        wire.unpack(data)


def test_what_is_read_is_held_to_the_limits_of_what_is_written():
    for head in ('{"tensor": ["float32", [%s], false]}' % ", ".join(["1"] * 5000), '{"list": [' * 60 + "1" + "]}" * 60,
                 '{"list": [%s]}' % ", ".join(["1"] * 20_001), '{"tensor": ["float32", [1.0], false]}'):
        with pytest.raises(wire.WireError):
            wire.unpack(wire.LENGTH.pack(len(head)) + head.encode() + b"0000")


# --- 10,000 frames --------------------------------------------------------------------------------------------------

def tree(chance, depth=0):
    """Something that JSON can hold, of the words that messages are made of."""
    kind = chance.randrange(9 if depth < 4 else 5)
    if kind < 5:
        return (None, chance.random() < 0.5, chance.randrange(-2**70, 2**70), chance.choice(["", "float32", "0x1p3"]),
                chance.random())[kind]
    inside = [tree(chance, depth + 1) for _ in range(chance.randrange(4))]
    words = ("list", "tuple", "dict", "tensor", "numpy", "float", "complex", "other", "index")
    return inside if kind < 7 else {chance.choice(words): thing for thing in inside[:2]}


def written_by_hand(chance):
    """A header that is JSON, and not what a message holds; with some bytes behind it."""
    head = json.dumps(tree(chance)).encode()
    return wire.LENGTH.pack(len(head)) + head + chance.randbytes(chance.randrange(16))


def attempt(chance):
    """What one call gave, perhaps with a field too much or of another kind."""
    value = chance.choice([None, True, -2**62, float("nan"), "text", [1.0, (2,)], {"a": 1}, torch.zeros(2, 3),
                           torch.ones(1).bool(), torch.zeros(0, 5), object()])
    rest = {chance.choice([*GOOD, "more"]): chance.choice(["x", True, 7])} if chance.random() < 0.3 else {}
    return wire.pack(GOOD | {"index": chance.randrange(-1, 4), "value": value} | rest)


def mutated(chance):
    """An attempt in which some bytes are others, or are missing, or stand twice."""
    body = bytearray(attempt(chance))
    for _ in range(chance.randrange(1, 5)):
        at = chance.randrange(len(body))
        body[at:at + 1] = chance.choice([chance.randbytes(1), b"", body[at:at + 1] * 2])
    return bytes(body)


def frame(chance):
    """A letter, a number of a job, and a body: each often as it must be."""
    body = chance.choice([
        lambda chance: chance.randbytes(chance.randrange(40)), written_by_hand, attempt, attempt, mutated,
        lambda chance: chance.choice([NUMBER.pack(1), b"1", wire.pack({"stopped": ""})])])(chance)
    letter = chance.choice([b"m"] * 6 + [b"r", b"i", b"c", b"s", b"e", b"d", b"\x00"])
    return letter, chance.choice([NUMBERS] * 9 + [0, NUMBERS - 1]), body


class Child(Nursery):
    """A Nursery that hears prepared frames in place of a process."""

    def _end_job(self, talk, frames):
        self._stop()
        return SURPRISE

    def _stop(self):
        self.ended = True


@settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None)
@given(st.randoms(use_true_random=True))
def test_no_frame_does_anything_but_end_its_own_job(chance):
    exercise, expected, some = exercises("ch01")["ch01.snr"], torch.zeros(2, 3), [frame(chance) for _ in range(FRAMES)]
    while some:
        child, said = Child({}, Limits()), Talk([0, 1, 2], [1, 2])
        child._frames, child._number = queue.Queue(), NUMBERS
        for sent in [*some, None]:
            child._frames.put(sent)
        stopped = child._listen(said, time.monotonic() + 9, 9.0, said.frames)
        assert stopped is None or type(stopped) is str
        assert hasattr(child, "ended") or said.stopped is not None  # a surprise ends the process
        assert list(said.tried) == [0, 1, 2][:len(said.tried)] and said.slow <= {1, 2}
        for index, tried in said.tried.items():
            outcome = verdict(exercise, index, tried, expected)
            assert type(outcome.miss) is str and len(outcome.miss) <= 400
        some = some[len(some) + 1 - child._frames.qsize():]  # the others are heard by the next one


@settings(max_examples=EXAMPLES, deadline=None, derandomize=True, database=None)
@given(st.randoms(use_true_random=True))
def test_no_bytes_are_a_notebook_but_those_of_one(chance):
    for make in (written_by_hand, mutated, lambda chance: chance.randbytes(40)):
        with pytest.raises(wire.WireError):
            talk.reading_of(make(chance), ["ch01.snr"], ["ch01.why"])


def test_a_frame_of_another_job_says_nothing_about_this_one():
    child, said = Child({}, Limits()), Talk([0], [1])
    child._frames, child._number = queue.Queue(), NUMBERS
    child._frames.put((b"m", NUMBERS - 1, wire.pack(GOOD)))
    assert child._listen(said, time.monotonic() + 9, 9.0, said.frames) is None and not said.tried


def test_more_frames_than_a_job_has_are_a_surprise():
    child, said = Child({}, Limits()), Talk([0], [1])
    child._frames, child._number = queue.Queue(), NUMBERS
    for _ in range(100):
        child._frames.put((b"c", NUMBERS, NUMBER.pack(1)))
    assert child._listen(said, time.monotonic() + 9, 9.0, said.frames) == SURPRISE
    assert child._frames.qsize() > 90
