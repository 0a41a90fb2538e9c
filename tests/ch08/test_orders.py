"""The order of every solver in the plane, in float64, on a grid even in lambda and on Karras' grid."""

import pytest

from minidiff.evaluation.convergence import order_of_convergence
from tests.ch08.orders import ORDERS, STEPS, errors_of


@pytest.mark.parametrize("path, grid", [("ve", "lambda"), ("vp", "Karras")])
@pytest.mark.parametrize("name", ORDERS)
def test_the_error_falls_with_the_order_of_the_solver(name, path, grid):
    solver, low, high = ORDERS[name]
    assert low <= order_of_convergence(STEPS, errors_of(solver, path, grid)) <= high


def test_the_published_3m_is_less_precise_than_the_one_with_its_2():
    errors = {name: errors_of(ORDERS[f"DPM-Solver++3M, {name}"][0], "ve", "lambda", STEPS[-1:])[0]
              for name in ("published", "with its 2")}
    assert errors["published"] > 10 * errors["with its 2"]
