"""What every solver keeps to: how often it asks, where it ends, what it yields, and that it can start anywhere."""

import functools

import pytest
import torch

from minidiff.process.continuous import cosine_path, lambda_of, time_of
from minidiff.samplers.ddim import ddim
from minidiff.samplers.exponential import exponential_step
from minidiff.samplers.lambda_grids import karras_grid, lambda_grid
from minidiff.samplers.lms import ADAMS_BASHFORTH, adams_weights
from minidiff.samplers.multistep import multistep, value_2m, value_3m
from minidiff.samplers.singlestep import singlestep
from minidiff.samplers.step import final_sample
from minidiff.samplers.unipc import corrected_value, unipc
from tests.ch08.worlds import PATHS, SOLVERS, STOCHASTIC, Counter, generator, normal

EVALUATIONS = {"heun": lambda n: 2 * n - 1, "churn": lambda n: 2 * n - 1, "plms": lambda n: n + (n > 1),
               "singlestep-2": lambda n: 2 * n - 1, "singlestep-3": lambda n: 3 * n - 2}
ALL = SOLVERS | STOCHASTIC
every_solver = pytest.mark.parametrize("name", ALL)


@functools.cache
def grid_of(path, n):
    """n steps down to clean data: even in lambda for vp, on Karras' grid for ve."""
    return (karras_grid if path is PATHS["ve"] else lambda_grid)(path, n, path.T, path.T / 500)


def run(name, path, n):
    """(the counted denoiser, the times, the list of steps) of a solver on a grid of n steps."""
    denoiser, times = Counter(path), grid_of(path, n)
    x = float(path.sigma(path.T)) * normal(4, 2)
    extra = {"generator": generator(3)} if name in STOCHASTIC else {}
    return denoiser, times, list(ALL[name](denoiser, x, times, path, **extra))


@every_solver
@pytest.mark.parametrize("n", [1, 2, 3, 7, 20])
def test_how_often_a_solver_asks(name, n):
    denoiser, times, _ = run(name, PATHS["vp"], n)
    asked = next((count for key, count in EVALUATIONS.items() if name.startswith(key)), lambda n: n)
    assert len(denoiser.times) == asked(n)
    assert all(0 < t <= PATHS["vp"].T for t in denoiser.times)
    if asked(n) == n:
        assert denoiser.times == times[:-1].tolist()


@every_solver
@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_every_number_of_steps_ends_in_a_finite_picture_which_is_the_last_answer(name, path):
    for n in range(1, 21):
        _, times, steps = run(name, path, n)
        assert [s for s, _, _ in steps] == times[1:].tolist()
        s, x, x0 = steps[-1]
        assert s == 0 and x.isfinite().all()
        if name not in ("plms", "lms-2", "lms-3", "lms-4"):  # these end in a mean of several answers
            torch.testing.assert_close(x, x0, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", ["multistep-2x0", "multistep-3x0", "multistep-2eps", "multistep-3eps"])
def test_a_walk_ends_in_a_finite_picture(name):
    assert all(x.isfinite().all() for n in (2, 3, 4) for _, x, _ in run(name, PATHS["vp"], n)[2])


@every_solver
def test_one_step_to_clean_data_is_the_denoisers_picture(name):
    denoiser, times, steps = run(name, PATHS["vp"], 1)
    torch.testing.assert_close(steps[-1][1], denoiser(normal(4, 2) * float(PATHS["vp"].sigma(1.0)), times[0])[0])


@pytest.mark.parametrize("name", SOLVERS)
def test_a_solver_of_the_ode_draws_nothing(name):
    state = torch.get_rng_state()
    once, again = (run(name, PATHS["vp"], 8)[2][-1][1] for _ in range(2))
    assert torch.equal(once, again) and torch.equal(torch.get_rng_state(), state)


@every_solver
def test_a_solver_keeps_float32_and_shape_and_no_gradient(name):
    x = normal(2, 3, 5, 4, dtype=torch.float32).requires_grad_()
    scale = torch.full((), 0.3, requires_grad=True)

    def denoiser(x, t):
        return scale * x, ((1 - PATHS["vp"].alpha(t) * scale) / PATHS["vp"].sigma(t)).float() * x

    times = lambda_grid(PATHS["vp"], 5, 1.0, 0.01)
    extra = {"generator": generator()} if name in STOCHASTIC else {}
    for s, x_s, x0 in ALL[name](denoiser, x, times, PATHS["vp"], **extra):
        assert type(s) is float and x_s.shape == x0.shape == x.shape and x_s.dtype == torch.float32
        assert not x_s.requires_grad


@pytest.mark.parametrize("name", [name for name in SOLVERS if name.startswith(("singlestep", "heun"))])
def test_starting_in_the_middle_is_the_tail_of_the_whole_run(name):
    path = PATHS["vp"]
    _, times, steps = run(name, path, 9)
    tail = list(SOLVERS[name](Counter(path), steps[3][1], times[4:], path))
    assert all(torch.equal(a[1], b[1]) for a, b in zip(tail, steps[4:], strict=True))


@pytest.mark.parametrize("order", [2, 3])
@pytest.mark.parametrize("form", ["x0", "eps"])
def test_a_multistep_solver_starts_in_the_middle_if_it_is_told_the_past(order, form):
    path, denoiser, index = PATHS["vp"], Counter(PATHS["vp"]), ("x0", "eps").index(form)
    _, times, steps = run(f"multistep-{order}{form}", path, 9)
    past = [(lambda_of(path, times[i]), denoiser(steps[i - 1][1], times[i])[index]) for i in (3, 2)]
    tail = list(multistep(denoiser, steps[3][1], times[4:], path, order, form, past=past))
    assert all(torch.equal(a[1], b[1]) for a, b in zip(tail, steps[4:], strict=True))


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
@pytest.mark.parametrize("name", ["multistep-1x0", "multistep-1eps", "singlestep-1x0", "singlestep-1eps", "lms-1"])
def test_the_solvers_of_order_1_are_ddim(name, path):
    _, times, steps = run(name, path, 10)
    for (_, x, _), (_, expected, _) in zip(ddim(Counter(path), float(path.sigma(path.T)) * normal(4, 2), times, path),
                                           steps, strict=True):
        torch.testing.assert_close(x, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("name", SOLVERS)
def test_a_solver_gives_the_same_picture_on_every_path(name):
    """ODE and levels are those of x / alpha and sigma / alpha, whatever the path."""
    ve, vp = PATHS["ve"], PATHS["vp"]
    levels = torch.logspace(1, -1, 9, dtype=torch.float64)
    ends = []
    for path in (ve, vp):
        times = torch.cat([time_of(path, -levels.log()), torch.zeros(1, dtype=torch.float64)])
        start = 10 * float(path.alpha(times[0])) * normal(20, 2)
        ends.append(final_sample(SOLVERS[name](Counter(path), start, times, path)))
    torch.testing.assert_close(*ends, rtol=1e-8, atol=1e-8)


@pytest.mark.parametrize("name", ["multistep-1x0", "multistep-2x0", "multistep-3x0", "2m sde"])
def test_a_walk_in_x0_may_start_where_no_picture_is_left(name):
    path, times = cosine_path(), torch.linspace(1, 0, 9, dtype=torch.float64)
    extra = {"generator": generator()} if name in STOCHASTIC else {}
    steps = list(ALL[name](Counter(path), normal(4, 2), times, path, **extra))
    assert all(x.isfinite().all() for _, x, _ in steps)


@pytest.mark.parametrize("name", ["heun", "lms-4", "plms", "multistep-2eps", "unipc-3", "churn"])
def test_other_walks_may_not_and_say_so(name):
    path, times = cosine_path(), torch.linspace(1, 0, 9, dtype=torch.float64)
    extra = {"generator": generator()} if name in STOCHASTIC else {}
    with pytest.raises(ValueError, match="cannot start where alpha = 0, at t = 1"):
        final_sample(ALL[name](Counter(path), normal(4, 2), times, path, **extra))


@pytest.mark.parametrize("solver, wrong", [(multistep, {"order": 4}), (multistep, {"form": "v"}),
                                           (singlestep, {"order": 0}), (singlestep, {"form": "v"}),
                                           (unipc, {"order": 4}), (SOLVERS["lms-1"].func, {"order": 5})])
def test_another_order_or_form_is_refused(solver, wrong):
    path = PATHS["vp"]
    with pytest.raises(ValueError, match="order must be 1, 2"):
        final_sample(solver(Counter(path), normal(4, 2), lambda_grid(path, 5, 1.0, 0.01), path, **wrong))


# --- the values -----------------------------------------------------------------------------------------------------

LAM = torch.tensor([0.3, -0.1, -0.9], dtype=torch.float64)  # newest first
END = torch.tensor(0.8, dtype=torch.float64)


def mean_over_the_step(f, form):
    """The weighted mean of f(lambda) over the step from LAM[0] to END that `exponential_step` takes a constant for."""
    lam = torch.linspace(float(LAM[0]), float(END), 20_001, dtype=torch.float64)
    weight = torch.exp(lam if form == "x0" else -lam)
    return float(torch.trapezoid(weight * f(lam), lam) / torch.trapezoid(weight, lam))


@pytest.mark.parametrize("form", ["x0", "eps"])
def test_3m_with_its_2_is_exact_for_parabolas_and_the_published_one_only_for_lines(form):
    for f, published_too in ((lambda u: 2 - 3 * u, True), (lambda u: 1 + u - 2 * u**2, False)):
        past = [(lam, f(lam)) for lam in LAM]
        exact = mean_over_the_step(f, form)
        assert float(value_3m(past, END, form, published=False)) == pytest.approx(exact, rel=1e-7)
        assert (float(value_3m(past, END, form, published=True)) == pytest.approx(exact, rel=1e-7)) == published_too


def test_2m_reads_the_line_in_the_middle_of_the_step():
    past = [(lam, 2 - 3 * lam) for lam in LAM]
    assert float(value_2m(past, END)) == pytest.approx(float(2 - 3 * (LAM[0] + END) / 2))


def test_the_corrector_of_order_p_is_exact_for_polynomials_of_degree_p():
    for p, f in ((2, lambda u: 1 + u - 2 * u**2), (3, lambda u: 1 + u - 2 * u**2 + u**3)):
        past = [(lam, f(lam)) for lam in LAM[:p]]
        assert float(corrected_value(past, (END, f(END)))) == pytest.approx(mean_over_the_step(f, "x0"), rel=1e-7)


def test_the_predictor_of_unipc_3_is_3m_with_its_2():
    """Zhao et al. solve a linear system for its weights; the parabola's are its solution."""
    path = PATHS["vp"]
    times = lambda_grid(path, 8, 1.0, 0.01)[:-1]
    predicted = [x for _, x, _ in unipc(Counter(path), normal(4, 2), times, path, ramp_down=False)]
    first_two = [x for _, x, _ in multistep(Counter(path), normal(4, 2), times[:2], path, order=3)]
    torch.testing.assert_close(predicted[0], first_two[0])


def test_the_weights_of_equal_gaps_are_those_of_adams_and_bashforth():
    for order, expected in enumerate(ADAMS_BASHFORTH, start=1):
        assert adams_weights([5.0 + j for j in range(order)], 4.0) == pytest.approx(expected)


def test_the_weights_of_any_gaps_integrate_polynomials():
    levels = [2.0, 3.5, 4.0, 7.0]
    for degree in range(4):
        exact = (1.2 ** (degree + 1) - 2.0 ** (degree + 1)) / (degree + 1) / (1.2 - 2.0)
        assert sum(w * u**degree for w, u in zip(adams_weights(levels, 1.2), levels)) == pytest.approx(exact)


def test_dpm_solver_3_line_by_line():
    """Lu et al. 2022, algorithm 2, with r_1 = 1/3 and r_2 = 2/3."""
    path, denoiser = PATHS["vp"], Counter(PATHS["vp"])
    t, s = torch.tensor(0.6, dtype=torch.float64), torch.tensor(0.35, dtype=torch.float64)
    x, lam, h = normal(4, 2), lambda_of(path, t), lambda_of(path, s) - lambda_of(path, t)
    (s_1, s_2), r_1, r_2 = [time_of(path, lam + r * h) for r in (1 / 3, 2 / 3)], 1 / 3, 2 / 3

    def eps(x, t):
        return denoiser(x, t)[1]

    def ratio(u):
        return path.alpha(u) / path.alpha(t)

    u_1 = ratio(s_1) * x - path.sigma(s_1) * torch.expm1(r_1 * h) * eps(x, t)
    D_1 = eps(u_1, s_1) - eps(x, t)
    u_2 = (ratio(s_2) * x - path.sigma(s_2) * torch.expm1(r_2 * h) * eps(x, t)
           - path.sigma(s_2) * r_2 / r_1 * (torch.expm1(r_2 * h) / (r_2 * h) - 1) * D_1)
    D_2 = eps(u_2, s_2) - eps(x, t)
    x_s = (ratio(s) * x - path.sigma(s) * torch.expm1(h) * eps(x, t)
           - path.sigma(s) / r_2 * (torch.expm1(h) / h - 1) * D_2)
    ours = final_sample(singlestep(denoiser, x, torch.stack([t, s]), path, order=3, form="eps"))
    torch.testing.assert_close(ours, x_s, rtol=1e-10, atol=1e-12)


def test_a_constant_answer_is_carried_exactly_over_any_step():
    path, value, x = PATHS["vp"], normal(4, 2, seed=5), normal(4, 2)
    for form in ("x0", "eps"):
        once = exponential_step(x, value, torch.tensor(0.9), torch.tensor(0.2), path, form)
        half = exponential_step(x, value, torch.tensor(0.9), torch.tensor(0.5), path, form)
        twice = exponential_step(half, value, torch.tensor(0.5), torch.tensor(0.2), path, form)
        torch.testing.assert_close(twice, once)
