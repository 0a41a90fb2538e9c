"""What a process must forget before students' code runs in it: references, expected values, the cases themselves.

A chapter is loaded whole, for its modules and for the drivers of its cases; then everything that could answer an
exercise goes, and `hide` empties minidiff's own answer to the one exercise that is asked for.
"""

import gc
import importlib
import importlib.util
import inspect
import sys
import types
from functools import partial
from pathlib import Path

from minidiff.exercises import core
from minidiff.grading.shell import run_cell

SETUP = 60.0  # seconds for the set-up cell
KEPT_BACK = ("minidiff.exercises.ch", "minidiff.exercises.hidden.")  # modules that know the answers
KNOWS = "minidiff.exercises."  # where cases and exercises are defined, whose instances hold the answers


def load(config, shell):
    """Import a chapter, run our set-up cell in the shell, forget the answers. Returns {id: drivers of its cases}."""
    for name in config["modules"]:
        importlib.import_module(name)
    by_id = {e.id: [case.drive for case in e.cases] for e in core.exercises(config["chapter"]).values()}
    sources = []
    for file in config["hidden"]:
        spec = importlib.util.spec_from_file_location(f"hidden_{Path(file).stem}", file)
        sources.append(importlib.util.module_from_spec(spec))
        spec.loader.exec_module(sources[-1])
        for name, cases in sources[-1].HIDDEN.items():
            by_id[name] += [case.drive for case in cases]
    sources += [m for name, m in sys.modules.items() if name.startswith(KEPT_BACK)]
    needed = needed_names([drive for drives in by_id.values() for drive in drives])
    for module in sources:
        kept = needed.get(id(vars(module)), ())
        for name in [n for n in vars(module) if not n.startswith("__") and n not in kept]:
            delattr(module, name)
    vars(core).update({"answer": lambda id, fn: fn, "check": lambda id, fn, seed=0: None, "hint": lambda id: None,
                       "progress": lambda: None})
    shell.user_ns["display"] = lambda *objects, **options: None
    problem = run_cell(shell, config["setup"], SETUP)
    if problem:
        raise problem
    for name in [n for n in sys.modules if n.startswith((*KEPT_BACK, "minidiff.grading"))]:
        module = sys.modules.pop(name)
        parent, _, leaf = name.rpartition(".")
        vars(sys.modules.get(parent, module)).pop(leaf, None)
    sys.meta_path.insert(0, KeepsBack())
    gc.collect()
    gc.freeze()
    return by_id


class KeepsBack:
    """An importer that refuses every module of minidiff that the chapter has not loaded."""

    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] == "minidiff":
            raise ImportError(f"{name} is not part of this chapter, or is kept back while answers are graded")


def needed_names(functions):
    """The global names that functions use, and the functions that those use: {id of a module's dict: set of names}."""
    needed, queue, seen = {}, list(functions), {}
    while queue:
        thing = queue.pop()
        if id(thing) in seen:
            continue
        seen[id(thing)] = thing
        queue += held_by(thing)
        if isinstance(thing, types.FunctionType):
            names = names_in(thing.__code__) & set(thing.__globals__)
            needed.setdefault(id(thing.__globals__), set()).update(names)
            queue += [thing.__globals__[name] for name in names]
    return needed


def held_by(thing):
    """The things in this one that may be functions or hold some; of exercises, which hold answers, none: a list."""
    if isinstance(thing, types.FunctionType):
        own = [*(thing.__defaults__ or ()), *(thing.__kwdefaults__ or {}).values()]
        return own + [cell.cell_contents for cell in thing.__closure__ or ()]
    if isinstance(thing, type):
        return [v for v in vars(thing).values() if isinstance(v, types.FunctionType)]
    if isinstance(thing, dict):
        return list(thing.values())
    if isinstance(thing, (list, tuple)):
        return list(thing)
    if isinstance(thing, partial):
        return [thing.func, *thing.args, *thing.keywords.values()]
    if isinstance(thing, types.MethodType):
        return [thing.__func__, thing.__self__]
    ours = type(thing).__module__.startswith("minidiff.") and not type(thing).__module__.startswith(KNOWS)
    return list(vars(thing).values()) if ours and hasattr(thing, "__dict__") else []


def names_in(code):
    """All names that a code object and those inside it look up."""
    return set(code.co_names).union(*[names_in(c) for c in code.co_consts if isinstance(c, types.CodeType)])


def hide(module, name):
    """Empty minidiff's own answer itself, so that it answers nothing, wherever and however it is found."""
    own = inspect.unwrap(getattr(sys.modules[module], name))
    if isinstance(own, type):
        for key in [key for key, value in vars(own).items() if callable(value)]:
            setattr(own, key, kept_back)
    else:
        own.__code__ = kept_back.__code__


def kept_back(*args, **kwargs):
    """What stands in the place of minidiff's own answer."""
    raise RuntimeError("minidiff's own answer is kept back while yours is graded")
