"""Nothing compares as equal by accident, and nothing that is right compares as different."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from minidiff.exercises.compare import copied, difference, same

ONES = torch.ones(2, 2)
EXPECTED = torch.tensor([[1.0, -2.0], [0.0, 4.0]])


class Agreeing(torch.Tensor):
    """A tensor that says yes to every question."""

    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        return torch.ones(2, 2, dtype=torch.bool)


class AlwaysEqual:
    def __eq__(self, other):
        return True


@pytest.mark.parametrize("got, sentence", [
    (EXPECTED[:1], "gives the shape (1, 2), expected (2, 2)"),
    (EXPECTED[None], "gives the shape (1, 2, 2), expected (2, 2)"),
    (torch.tensor(1.0), "gives the shape (), expected (2, 2)"),
    (EXPECTED.double(), "gives the dtype float64, expected float32"),
    (EXPECTED.long(), "gives the dtype int64, expected float32"),
    (EXPECTED.to_sparse(), "gives a tensor that holds no plain values"),
    (EXPECTED.to("meta"), "gives a tensor that holds no plain values"),
    (EXPECTED * math.nan, "4 of 4 values differ; largest at [0, 0]: yours nan, expected 1"),
    (torch.where(EXPECTED == 4, math.inf, EXPECTED), "1 of 4 values differ; largest at [1, 1]: yours inf, expected 4"),
    (EXPECTED.new_zeros(1).expand(2, 2), "3 of 4 values differ; largest at [1, 1]: yours 0, expected 4"),
    (EXPECTED.as_subclass(Agreeing), "gives an Agreeing, expected a tensor"),
    (AlwaysEqual(), "gives an AlwaysEqual, expected a tensor"),
    (EXPECTED.numpy(), "gives a numpy array, expected a tensor"),
    (EXPECTED.tolist(), "gives a list, expected a tensor"),
    (1.0, "gives a number, expected a tensor"),
    (None, "gives None, expected a tensor: is a `return` missing?"),
])
def test_what_is_not_the_expected_tensor(got, sentence):
    assert difference(got, EXPECTED) == sentence


@pytest.mark.parametrize("got", [
    EXPECTED.clone(), EXPECTED.clone().requires_grad_(), torch.nn.Parameter(EXPECTED), EXPECTED.T.contiguous().T,
    EXPECTED * (1 + 3e-7), EXPECTED + 1e-7,
])
def test_what_is_the_expected_tensor(got):
    assert difference(got, EXPECTED) == ""


def test_an_expanded_tensor_counts_by_its_values():
    assert difference(torch.ones(1).expand(2, 2), ONES) == ""


@pytest.mark.parametrize("got, expected, sentence", [
    (0.5, 0.3, "yours 0.5, expected 0.3"),
    (1.00003, 1.0, "yours 1.00003, expected 1"),
    (math.nan, 1.0, "yours nan, expected 1"),
    (math.nan, math.nan, "yours nan, expected nan"),
    (math.inf, 1.0, "yours inf, expected 1"),
    (1.0, math.inf, "yours 1, expected inf"),
    (True, 1.0, "gives a bool, expected a number"),
    (1, True, "gives a number, expected a bool"),
    (False, True, "gives False, expected True"),
    (AlwaysEqual(), True, "gives an AlwaysEqual, expected a bool"),
    (torch.ones(1), 1.0, "gives a tensor, expected a number"),
    ("x", 1.0, "gives a string, expected a number"),
    ("x", "y", "gives 'x', expected 'y'"),
    (1, None, "gives a number, expected None"),
    (3, 4, "yours 3, expected 4"),
    (torch.tensor([1, 2]), torch.tensor([1, 3]), "1 of 2 values differ; largest at [1]: yours 2, expected 3"),
    (torch.tensor([True]), torch.tensor([False]), "1 of 1 values differ; largest at [0]: yours True, expected False"),
    (torch.tensor(2**60 + 1), torch.tensor(2**60), f"yours {2**60 + 1}, expected {2**60}"),
    (torch.tensor(1j), torch.tensor(1.0 + 0j), "yours 0+1j, expected 1+0j"),
    ((1.0,), (1.0, 2.0), "gives 1 items, expected 2"),
    (1.0, (1.0, 2.0), "gives a number, expected a tuple of 2"),
    ((1.0, 3.0), (1.0, 2.0), "item 2 of 2: yours 3, expected 2"),
    ({"a": 1}, {"b": 1}, "gives the keys 'a', expected 'b'"),
    ({"a": 1}, {"a": 2}, "under 'a': yours 1, expected 2"),
    ([1], {"a": 2}, "gives a list, expected a dict"),
])
def test_what_differs_in_numbers_and_containers(got, expected, sentence):
    assert difference(got, expected) == sentence


@pytest.mark.parametrize("got, expected", [
    (1, 1.0), (np.float32(0.5), 0.5), (torch.tensor(0.5), 0.5), (math.inf, math.inf), (torch.tensor(True), True),
    ([1.0, ONES], (1.0, ONES)), (ONES.max(dim=0), (torch.ones(2), torch.tensor([0, 0]))), ({"a": [1]}, {"a": (1,)}),
    (np.ones(2), np.ones(2)), (None, None), ("x", "x"), (torch.empty(0, 3), torch.empty(0, 3)),
    (torch.tensor([1.0, math.inf]), torch.tensor([1.0, math.inf])), (torch.zeros(2) + 1e-7, torch.zeros(2)),
])
def test_what_agrees_in_numbers_and_containers(got, expected):
    assert difference(got, expected) == ""


def test_a_case_that_expects_an_object_is_an_error_of_the_course():
    with pytest.raises(TypeError, match="an object cannot be compared"):
        difference(1, object())


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.floats(-8, 8), st.sampled_from([torch.float32, torch.float64]))
def test_the_scale_of_the_numbers_does_not_matter(seed, exponent, dtype):
    x = torch.randn(50, generator=torch.Generator().manual_seed(seed), dtype=dtype) * 10**exponent
    rounding = {torch.float32: 1e-6, torch.float64: 1e-10}[dtype]
    assert difference(x * (1 + rounding), x) == ""
    wrong = x.clone()
    wrong[seed % 50] += 100 * rounding * x.abs().max()
    assert difference(wrong, x).startswith(f"1 of 50 values differ; largest at [{seed % 50}]")


def test_float64_asks_for_the_digits_that_float32_loses():
    x = torch.randn(50, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    assert difference(x.float().double(), x) != "" and difference(x.float(), x.float() * (1 + 1e-6)) == ""
    number = float(x[0])
    assert difference(float(x[0].float()), number) != "" and difference(number * (1 + 1e-12), number) == ""


def test_a_copy_shares_nothing_and_is_the_same():
    inputs = (torch.tensor([1.0, math.nan]), {"a": [torch.ones(2, requires_grad=True)]}, 3, "x", np.ones(2))
    twin = copied(inputs[:4])
    assert same(twin, inputs[:4]) and twin[1]["a"][0].requires_grad
    twin[0].zero_()
    twin[1]["a"][0].data.zero_()
    assert not same(twin[0], inputs[0]) and inputs[1]["a"][0].sum() == 2


@pytest.mark.parametrize("a, b", [(ONES, ONES.double()), (ONES, torch.ones(4)), ((1,), [1]), ({"a": 1}, {"b": 1}),
                                  ((1, 2), (1,)), (1, 1.0)])
def test_what_is_not_the_same(a, b):
    assert not same(a, b)
