"""The exercises of chapter 03: the score of a mixture, Tweedie's formula, the loss, the average."""

import torch

from minidiff.evaluation.mixture import gmm_score
from minidiff.exercises.ch02 import a_table, normal, times
from minidiff.exercises.core import Case, Exercise
from minidiff.process.losses import dsm_loss
from minidiff.process.path import discrete_path
from minidiff.process.score import tweedie
from minidiff.training.ema import ema_update


def mixture_inputs(B, K, D, dtype=torch.float64):
    def draw(generator):
        weights = torch.softmax(1.5 * normal(generator, K, dtype=dtype), dim=0)
        stds = 0.4 + torch.rand(K, generator=generator, dtype=dtype)
        return normal(generator, B, D, dtype=dtype), weights, 1.5 * normal(generator, K, D, dtype=dtype), stds
    return draw


def slope_of_log_density(x, weights, means, stds):
    """The gradient of log p by autograd, with torch's own Gaussians."""
    x = x.clone().requires_grad_()
    parts = torch.distributions.Normal(means, stds[:, None]).log_prob(x[:, None]).sum(dim=-1)
    return torch.autograd.grad(torch.logsumexp(weights.log() + parts, dim=-1).sum(), x)[0]


def far_away(generator):
    x, weights, means, stds = mixture_inputs(4, 3, 2)(generator)
    return 200 * x, weights, means, stds


def part_per_point(generator):
    x, weights, means, stds = mixture_inputs(5, 3, 2)(generator)
    return x, weights, means + 0.3 * normal(generator, 5, 3, 2), stds + torch.rand(5, 3, generator=generator).double()


GMM_SCORE = Exercise(
    id="ch03.gmm_score", title="the score of a mixture of Gaussians", reference=gmm_score, points=3, minutes=15,
    difficulty="easy",
    cases=(
        Case("is the gradient of log p", mixture_inputs(6, 4, 2), expect=slope_of_log_density,
             hint="each part pulls by (m_k - x) / s_k^2; the shares r_k say how much of each pull"),
        Case("works in five dimensions, and for as many points as parts", mixture_inputs(5, 5, 5),
             expect=slope_of_log_density, hint="the shares sum to 1 over the parts k: which dimension is that?"),
        Case("stays finite far from every part", far_away, expect=slope_of_log_density,
             hint="take the softmax of the logarithms: exp(-20000) is 0, and 0 / 0 is nan"),
        Case("takes one set of means and stds per point", part_per_point,
             hint="means may be (K, D) or (B, K, D): x[..., None, :] fits both"),
        Case("takes one point and one part", mixture_inputs(1, 1, 3), expect=slope_of_log_density),
        Case("keeps float32", mixture_inputs(3, 2, 2, dtype=torch.float32), kind="shape",
             drive=lambda fn, *given: (str(fn(*given).dtype), list(fn(*given).shape))),
    ),
    hints=("softmax(gmm_log_parts(...)) over the last dimension gives the shares r_k, of shape (B, K).",
           "The pulls (m_k - x) / s_k^2 have the shape (B, K, D): give x an axis for k, and stds one for D.",
           "Multiply shares (B, K, 1) and pulls (B, K, D), and sum over k: the dimension -2."))


def tweedie_inputs(*shape, dtype=torch.float64):
    def draw(generator):
        given = normal(generator, *shape, dtype=dtype), normal(generator, *shape, dtype=dtype)
        return *given, times(generator, shape[0]), a_table(generator)
    return draw


def on_path(fn, *given):
    """The last of the inputs is a table: hand its path to the learner's function."""
    *given, alpha_bar = given
    return fn(*given, discrete_path(alpha_bar))


def one_gaussian(fn, x_t, m, t, alpha_bar):
    """x0 ~ N(m, 0.5^2): the score of x_t in closed form, handed to the learner's function."""
    a = alpha_bar[t].reshape(-1, 1)
    return fn(x_t, (a.sqrt() * m - x_t) / (0.25 * a + 1 - a), t, discrete_path(alpha_bar))


def conditional_mean(x_t, m, t, alpha_bar):
    """E[x0 | x_t] for x0 ~ N(m, 0.5^2), as the average of two measurements weighted by their precision."""
    a = alpha_bar[t].reshape(-1, 1)
    precision = a / (1 - a)
    return (m / 0.25 + precision * x_t / a.sqrt()) / (1 / 0.25 + precision)


TWEEDIE = Exercise(
    id="ch03.tweedie", title="the best denoiser from the score", reference=tweedie, points=2, minutes=10,
    difficulty="easy",
    cases=(
        Case("gives the conditional mean of a Gaussian", tweedie_inputs(7, 2), drive=one_gaussian,
             expect=conditional_mean, hint="the score is multiplied by a variance, sigma squared"),
        Case("uses each point's own step", tweedie_inputs(9, 9), on_path,
             hint="t holds one step per point: path.at(t, x_t) gives alpha and sigma the shape (B, 1)"),
        Case("works on pictures", tweedie_inputs(4, 1, 4, 4), on_path),
        Case("gives x_t back at t = 0", lambda g: (normal(g, 3, 2), normal(g, 3, 2), torch.zeros(3).long(), a_table(g)),
             on_path, expect=lambda x_t, score, t, alpha_bar: x_t),
        Case("takes one int t for all points", lambda g: (normal(g, 5, 2), normal(g, 5, 2), 11, a_table(g)), on_path),
        Case("keeps float32", tweedie_inputs(3, 2, dtype=torch.float32), kind="shape",
             drive=lambda fn, *given: (lambda x0: (str(x0.dtype), list(x0.shape)))(on_path(fn, *given))),
    ),
    hints=("Solve eq. (3.5) for the mean of x0 given x_t: there is nothing else to do.",
           "alpha, sigma = path.at(t, x_t): they have the shape and the dtype to be multiplied with points."))


def dsm_inputs(*shape, dtype=torch.float64):
    def draw(generator):
        x0, eps = normal(generator, *shape, dtype=dtype), normal(generator, *shape, dtype=dtype)
        return x0, times(generator, shape[0]), eps, a_table(generator)
    return draw


def with_a_net(fn, x0, t, eps, alpha_bar):
    """A score that looks at the point and at the time."""
    return fn(lambda x, u: torch.tanh(1.7 * x.flip(-1)) - 0.1 * u.reshape(-1, *[1] * (x.ndim - 1)).to(x),
              x0, t, eps, discrete_path(alpha_bar))


def with_the_target(fn, x0, t, eps, alpha_bar):
    """The score that is right for each draw: grad log q(x_t | x0)."""
    sigma = (1 - alpha_bar[t]).sqrt().reshape(-1, 1)
    return fn(lambda x, u: -eps / sigma, x0, t, eps, discrete_path(alpha_bar))


def with_weights(fn, x0, t, eps, alpha_bar):
    """The gradient of the loss with respect to the one weight of a linear score."""
    w = torch.tensor(0.3, dtype=x0.dtype, requires_grad=True)
    return torch.autograd.grad(fn(lambda x, u: -w * x, x0, t, eps, discrete_path(alpha_bar)), w)[0]


DSM_LOSS = Exercise(
    id="ch03.dsm_loss", title="denoising score matching", reference=dsm_loss, points=3, minutes=15, difficulty="medium",
    cases=(
        Case("is 0 for grad log q(x_t | x0)", dsm_inputs(6, 2), drive=with_the_target,
             expect=lambda x0, t, eps, alpha_bar: torch.zeros((), dtype=x0.dtype),
             hint="the right score is -eps / sigma: it is sigma score PLUS eps that is 0"),
        Case("weighs the squared error by the variance of the noise", dsm_inputs(6, 2), drive=with_a_net,
             hint="sigma^2 is the weight of the SQUARE: inside the square stands its root, sigma"),
        Case("uses each point's own step", dsm_inputs(8, 8), drive=with_a_net,
             hint="t holds one step per point: path.at(t, x0) gives sigma the shape (B, 1)"),
        Case("averages over pictures too", dsm_inputs(3, 1, 5, 5), drive=with_a_net,
             hint="the mean over everything: points and dimensions"),
        Case("can be trained: its gradient reaches the score", dsm_inputs(6, 2), drive=with_weights, central=True),
        Case("is one float32 number for float32 points", dsm_inputs(4, 2, dtype=torch.float32), kind="shape",
             drive=lambda fn, *given: (lambda loss: (str(loss.dtype), list(loss.shape)))(with_a_net(fn, *given))),
    ),
    hints=("First x_t: path.mix(x0, eps, t). Then ask the score at (x_t, t).",
           "sigma^2 (score + eps / sigma)^2 = (sigma score + eps)^2: no division is needed."))


def a_net(values):
    """A net with 3 x 2 + 3 weights, and a batch norm whose buffers are not weights."""
    net = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3)).double()
    with torch.no_grad():
        for parameter, value in zip(net.parameters(), values.split([6, 3, 3, 3]), strict=True):
            parameter.copy_(value.reshape(parameter.shape))
        net[1].running_mean.copy_(values[:3] * 7)
        net[1].num_batches_tracked.fill_(int(values[0].abs() * 1000))
    return net


def ema_inputs(n, decay):
    return lambda generator: (normal(generator, 15), normal(generator, 15), n, decay)


def updated(fn, kept, new, n, decay):
    """The state of both nets after one update: the average first."""
    average, net = a_net(kept), a_net(new)
    fn(average, net, n, decay)
    return [dict(average.state_dict()), dict(net.state_dict())]


def many_updates(fn, kept, new, n, decay):
    average, net = a_net(kept).requires_grad_(False), a_net(new)
    for i in range(n):
        fn(average, net, i, decay)
    return torch.cat([p.flatten() for p in average.parameters()])


def forgotten(kept, new, n, decay):
    """The closed form: the share of the first weights is the product of all decays."""
    share = 1.0
    for i in range(n):
        share *= min(decay, (1 + i) / (10 + i))
    return share * kept + (1 - share) * new


def default_decay(fn, kept, new, n, decay):
    average, before = a_net(kept), a_net(kept)
    fn(average, a_net(new), n)
    return [a - b for a, b in zip(average.parameters(), before.parameters())]


EMA_UPDATE = Exercise(
    id="ch03.ema_update", title="the moving average of the weights", reference=ema_update, points=3, minutes=15,
    difficulty="medium",
    cases=(
        Case("mixes average and net, in place", ema_inputs(40, 0.7), drive=updated,
             hint="d times the average plus (1 - d) times the net, not the other way round"),
        Case("warms up: the first decay is 1/10", ema_inputs(0, 0.99), drive=updated,
             hint="d = ema_decay(n, decay), not decay"),
        Case("forgets the first weights as the product of the decays", ema_inputs(30, 0.8), drive=many_updates,
             expect=forgotten),
        Case("has the decay 0.999 if none is given", ema_inputs(100_000, None), drive=default_decay, atol=1e-9),
        Case("copies the buffers, which are not averaged", ema_inputs(3, 0.9),
             drive=lambda fn, *given: {k: v for k, v in updated(fn, *given)[0].items() if "running" in k or "num" in k},
             hint="a batch norm's counter is an integer: net.buffers() are copied as they are"),
        Case("leaves no gradient behind", ema_inputs(5, 0.9), kind="shape",
             drive=lambda fn, *given: [v.requires_grad for v in updated(fn, *given)[0].values()]),
    ),
    hints=("Walk through both nets at once: zip(average.parameters(), net.parameters()).",
           "In place: kept.lerp_(new, 1 - d) is kept <- kept + (1 - d)(new - kept).",
           "A second loop, over buffers(), with copy_."))


EXERCISES = (GMM_SCORE, TWEEDIE, DSM_LOSS, EMA_UPDATE)
