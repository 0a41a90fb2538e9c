"""The samplers and grids of the command line, by name; only those that are asked for are imported."""

from importlib import import_module

# The module of minidiff.samplers in which the `Sampler` stands, under the same name in capitals.
SAMPLERS = {
    "ancestral": "ancestral", "ddim": "ddim", "heun": "heun", "lms": "lms", "plms": "lms", "dpm_2": "singlestep",
    "dpm_3": "singlestep", "dpmpp_2m": "multistep", "dpmpp_3m": "multistep", "unipc": "unipc", "churn": "stochastic",
    "dpmpp_2m_sde": "stochastic", "euler_flow": "flow", "heun_flow": "flow",
}
# Where the steps lie: even in time, in lambda = log(alpha / sigma), or in Karras' root of the noise level.
GRIDS = {"time": ("grids", "even_times"), "lambda": ("lambda_grids", "lambda_times"),
         "karras": ("lambda_grids", "karras_times")}


def sampler_named(name):
    """The `Sampler` called `name`. Raises ValueError with the known names."""
    if name not in SAMPLERS:
        raise ValueError(f"there is no sampler {name!r}; there are {', '.join(SAMPLERS)}")
    return getattr(import_module(f"minidiff.samplers.{SAMPLERS[name]}"), name.upper())


def grid_named(name):
    """The grid called `name`, a function (path, n) -> n + 1 times. Raises KeyError for another name."""
    module, function = GRIDS[name]
    return getattr(import_module(f"minidiff.samplers.{module}"), function)
