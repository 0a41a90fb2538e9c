"""Wrong and right answers to the random trace of chapter 07."""

import torch

from tests.mutants import alternative, mutant


# --- hutchinson -----------------------------------------------------------------------------------------------------

def signs(x, generator):
    return (2 * torch.randint(2, x.shape, generator=generator) - 1).to(x)


def product(f, x, z):
    """f(x) and the row z^T J."""
    with torch.enable_grad():
        x = x.detach().requires_grad_()
        y = f(x)
        zJ, = torch.autograd.grad(y, x, z)
    return y.detach(), zJ


@mutant("ch07.hutchinson")
def normal_numbers(f, x, generator):
    z = torch.randn(x.shape, generator=generator, dtype=x.dtype)
    y, zJ = product(f, x, z)
    return y, (z * zJ).flatten(1).sum(dim=1)


@mutant("ch07.hutchinson")
def zeros_and_ones(f, x, generator):
    z = torch.randint(2, x.shape, generator=generator).to(x)
    y, zJ = product(f, x, z)
    return y, (z * zJ).flatten(1).sum(dim=1)


@mutant("ch07.hutchinson")
def sum_of_the_row(f, x, generator):
    y, zJ = product(f, x, signs(x, generator))
    return y, zJ.flatten(1).sum(dim=1)


@mutant("ch07.hutchinson")
def one_row_of_signs_for_all(f, x, generator):
    z = signs(x[:1], generator).expand_as(x)
    y, zJ = product(f, x, z)
    return y, (z * zJ).flatten(1).sum(dim=1)


@mutant("ch07.hutchinson")
def one_trace_for_the_batch(f, x, generator):
    z = signs(x, generator)
    y, zJ = product(f, x, z)
    return y, (z * zJ).sum().expand(len(x))


@mutant("ch07.hutchinson")
def mean_over_the_pixels(f, x, generator):
    z = signs(x, generator)
    y, zJ = product(f, x, z)
    return y, (z * zJ).flatten(1).mean(dim=1)


@mutant("ch07.hutchinson")
def sum_over_the_last_axis(f, x, generator):
    z = signs(x, generator)
    y, zJ = product(f, x, z)
    return y, (z * zJ).sum(dim=-1)


@mutant("ch07.hutchinson")
def with_ones(f, x, generator):
    y, zJ = product(f, x, torch.ones_like(x))
    return y, (signs(x, generator) * zJ).flatten(1).sum(dim=1)


@mutant("ch07.hutchinson")
def needs_gradients_switched_on(f, x, generator):
    z, x = signs(x, generator), x.detach().requires_grad_()
    y = f(x)
    return y.detach(), (z * torch.autograd.grad(y, x, z)[0]).flatten(1).sum(dim=1)


@mutant("ch07.hutchinson")
def keeps_the_graph(f, x, generator):
    with torch.enable_grad():
        z, x = signs(x, generator), x.detach().requires_grad_()
        y = f(x)
        return y, (z * torch.autograd.grad(y, x, z, create_graph=True)[0]).flatten(1).sum(dim=1)


@alternative("ch07.hutchinson")
def by_a_jacobian_vector_product(f, x, generator):
    z = signs(x, generator)
    with torch.enable_grad():
        y, pull = torch.func.vjp(f, x)
    return y.detach(), torch.einsum("bi,bi->b", pull(z)[0].detach().flatten(1), z.flatten(1))


@alternative("ch07.hutchinson")
def by_a_scalar(f, x, generator):
    z = torch.where(torch.randint(0, 2, x.shape, generator=generator) == 1, 1.0, -1.0).to(x)
    with torch.enable_grad():
        x = x.clone().detach().requires_grad_(True)
        y = f(x)
        row, = torch.autograd.grad((z * y).sum(), x)
    return y.detach(), (row * z).reshape(len(x), -1).sum(1)
