"""Every solver equals its published implementation in diffusers; the rows stand in `tests/ch08/oracles.py`."""

import pytest

pytest.importorskip("diffusers")

from tests.ch08.oracles import ROWS  # noqa: E402

pytestmark = pytest.mark.filterwarnings("ignore:.*algorithm_type.*dpmsolver:FutureWarning")


@pytest.mark.parametrize("name", ROWS)
def test_a_solver_is_the_scheduler_of_diffusers(name):
    asked, error = ROWS[name]
    assert error() < min(asked, 1e-11)
