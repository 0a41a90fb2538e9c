"""Are two results the same? If not: one sentence that says where and by how much they differ.

Strict where a wrong answer could slip through by accident (shape, dtype, nan, tensors that overload `==`), lenient
where two right answers differ (tuple or list, a number or a tensor with one number in it).
"""

import math
import numbers

import numpy as np
import torch


TOLERANCES = {"float64": (1e-9, 1e-10), "complex128": (1e-9, 1e-10)}  # what a right answer is off by is far below
COARSE = (1e-5, 1e-6)


def difference(got, expected, rtol=None, atol=None):
    """Compare a learner's result with the expected one; '' if they agree, else one sentence.

    got: anything; expected: a tensor, array, number, bool, str, None, or a tuple, list or dict of these. Two numbers
    agree when |got - expected| <= atol * scale + rtol * |expected|, where scale is the largest finite |expected| of
    that tensor (1 if there is none). rtol and atol: by default those of the expected dtype, 1e-9 and 1e-10 for float64
    and for plain numbers, which float32 misses, and 1e-5 and 1e-6 for float32. Integers, bools, shapes and dtypes agree
    exactly. nan never agrees. Raises TypeError when `expected` is of another kind.
    """
    if expected is None or isinstance(expected, (str, bool, np.bool_)):
        return _exact(got, expected)
    if isinstance(expected, (torch.Tensor, np.ndarray)):
        return _tensors(got, expected, rtol, atol)
    if isinstance(expected, numbers.Number):
        return _numbers(got, expected, rtol, atol)
    if isinstance(expected, dict):
        return _dicts(got, expected, rtol, atol)
    if isinstance(expected, (tuple, list)):
        return _sequences(got, expected, rtol, atol)
    raise TypeError(f"expected: {kind_of(expected)} cannot be compared; a case gives tensors, numbers, strings and "
                    "tuples, lists and dicts of them")


def kind_of(value):
    """A value's kind in the words of a message: 'a tensor', 'a number', 'None', 'a Foo'."""
    if value is None:
        return "None"
    if type(value) is bool or isinstance(value, np.bool_):
        return "a bool"
    if isinstance(value, numbers.Number):
        return "a number"
    names = {torch.Tensor: "a tensor", torch.nn.Parameter: "a tensor", np.ndarray: "a numpy array", str: "a string"}
    name = type(value).__name__
    return names.get(type(value), f"{'an' if name[0] in 'aeiouAEIOU' else 'a'} {name}")


def same(a, b):
    """True if two inputs of a case are equal bit for bit: tensors with their shape and dtype, nan equal to nan."""
    if type(a) is not type(b):
        return False
    if isinstance(a, torch.Tensor):
        return a.shape == b.shape and a.dtype == b.dtype and bool(((a == b) | ((a != a) & (b != b))).all())
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, (tuple, list)):
        return len(a) == len(b) and all(map(same, a, b))
    return a == b


def copied(value):
    """A copy of a tensor, number, string, or container of them that shares no memory with it."""
    if isinstance(value, torch.Tensor):
        return value.detach().clone().requires_grad_(value.requires_grad)
    if isinstance(value, np.ndarray):
        return value.copy()
    if isinstance(value, dict):
        return {k: copied(v) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        return type(value)(map(copied, value)) if type(value) in (tuple, list) else tuple(map(copied, value))
    return value


def _wrong_kind(got, expected, words=""):
    """words: what was expected, where that says more than its kind."""
    missing = ": is a `return` missing?" if got is None else ""
    return f"gives {kind_of(got)}, expected {words or kind_of(expected)}{missing}"


def _exact(got, expected):
    if isinstance(expected, (bool, np.bool_)):
        value = _plain(got)
        if type(value) is not bool:
            return _wrong_kind(got, bool(expected))
        return "" if value == expected else f"gives {value}, expected {bool(expected)}"
    if type(got) is not type(expected):
        return _wrong_kind(got, expected, expected)
    return "" if got == expected else f"gives {got[:40]!r}, expected {expected!r}"


def _plain(value):
    """The Python number inside a number, numpy scalar or tensor without dimensions; anything else as it is."""
    plain = (type(value) in (torch.Tensor, torch.nn.Parameter) and value.ndim == 0 and value.device.type != "meta"
             or isinstance(value, np.generic) or type(value) is np.ndarray and value.ndim == 0)
    return value.item() if plain else value


def _numbers(got, expected, rtol, atol):
    value = _plain(got)
    if type(value) not in (int, float, complex):
        return _wrong_kind(got, expected)
    if value == expected:
        return ""
    rtol, atol = _tolerances("float64", rtol, atol)
    scale = abs(expected) if expected and math.isfinite(abs(expected)) else 1
    close = math.isfinite(abs(expected)) and abs(value - expected) <= atol * scale + rtol * abs(expected)
    return "" if close else "yours {}, expected {}".format(*_two(value, expected))


def _dicts(got, expected, rtol, atol):
    if not isinstance(got, dict):
        return _wrong_kind(got, expected)
    if got.keys() != expected.keys():
        return f"gives the keys {', '.join(map(repr, got))}, expected {', '.join(map(repr, expected))}"
    misses = ((k, difference(got[k], v, rtol, atol)) for k, v in expected.items())
    return next((f"under {k!r}: {miss}" for k, miss in misses if miss), "")


def _sequences(got, expected, rtol, atol):
    if not isinstance(got, (tuple, list)):
        return f"{_wrong_kind(got, expected)} of {len(expected)}"
    if len(got) != len(expected):
        return f"gives {len(got)} items, expected {len(expected)}"
    misses = ((i, difference(g, e, rtol, atol)) for i, (g, e) in enumerate(zip(got, expected), start=1))
    return next((f"item {i} of {len(expected)}: {miss}" for i, miss in misses if miss), "")


def _tensors(got, expected, rtol, atol):
    accepted = (np.ndarray,) if isinstance(expected, np.ndarray) else (torch.Tensor, torch.nn.Parameter)
    if type(got) not in accepted:
        return _wrong_kind(got, expected)
    got, expected = (torch.as_tensor(v).detach() for v in (got, expected))
    if got.shape != expected.shape:
        return f"gives the shape {tuple(got.shape)}, expected {tuple(expected.shape)}"
    if got.dtype != expected.dtype:
        return f"gives the dtype {_dtype(got)}, expected {_dtype(expected)}"
    if got.layout != torch.strided or got.device.type == "meta":
        return "gives a tensor that holds no plain values"
    got, expected = got.cpu(), expected.cpu()
    error, wrong = _errors(got, expected, *_tolerances(_dtype(expected), rtol, atol))
    if not wrong.any():
        return ""
    worst = int(torch.where(wrong, error, -1.0).argmax())
    index = [int(i) for i in np.unravel_index(worst, got.shape)]
    yours, right = _two(got.flatten()[worst].item(), expected.flatten()[worst].item())
    if not index:
        return f"yours {yours}, expected {right}"
    return (f"{int(wrong.sum())} of {wrong.numel()} values differ; largest at {index}: "
            f"yours {yours}, expected {right}")


def _tolerances(dtype, rtol, atol):
    by_dtype = TOLERANCES.get(dtype, COARSE)
    return by_dtype[0] if rtol is None else rtol, by_dtype[1] if atol is None else atol


def _errors(got, expected, rtol, atol):
    """The error of each value (infinite for nan and for a wrong infinity), and which values are wrong; flat."""
    got, expected = got.flatten(), expected.flatten()
    if not (got.is_floating_point() or got.is_complex()):
        return (got.double() - expected.double()).abs(), got != expected
    wide = torch.complex128 if got.is_complex() else torch.float64
    got, expected = got.to(wide), expected.to(wide)
    size = expected.abs()
    finite = size[size.isfinite()]
    scale = float(finite.max()) if len(finite) and finite.max() > 0 else 1.0
    error = torch.where(got == expected, 0.0, (got - expected).abs()).nan_to_num(nan=math.inf)
    return error, ~((got == expected) | (size.isfinite() & (error <= atol * scale + rtol * size)))


def _dtype(x):
    return str(x.dtype).removeprefix("torch.")


def _two(yours, expected):
    """Both numbers with the fewest digits, at least 4, that show that they differ."""
    if isinstance(expected, (bool, int)) and isinstance(yours, (bool, int)):
        return str(yours), str(expected)
    texts = ((f"{yours:.{n}g}", f"{expected:.{n}g}") for n in range(4, 18))
    return next((pair for pair in texts if pair[0] != pair[1]), (repr(yours), repr(expected)))
