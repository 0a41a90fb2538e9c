"""Which names a cell of a notebook defines, reads and changes, and which cells an answer therefore needs.

Nothing here runs a cell. A cell counts as a whole, and the question is answered generously: a cell too many costs
time. One too few is found out, since then the answer misses a name or a value, and all cells above it are run.
"""

import ast
import builtins
import dis
import inspect
import re
import sys
import types
from dataclasses import dataclass

from IPython.core.inputtransformer2 import TransformerManager

CELL_MAGIC = re.compile(r"\s*%%(\w+)[^\n]*")
OF_PYTHON = ("time", "prun", "capture")  # cell magics whose cell is Python that stays in the notebook
NOW = ("<listcomp>", "<setcomp>", "<dictcomp>", "<genexpr>")  # code that runs where it stands
SHELL = {"get_ipython", "__name__"}  # names that are there in every cell
IMPORTS = (ast.Import, ast.ImportFrom)
BLOCKS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


@dataclass(frozen=True)
class Effects:
    """What a cell does to the names of its notebook.

    binds: defines, always (plain) or perhaps; reads: needs from above; touches: may change in place, by storing into
    them (patches) or by a call. imports: binds by imports alone. problem: why the cell is no Python, or ''.
    """
    binds: frozenset = frozenset()
    plain: frozenset = frozenset()
    reads: frozenset = frozenset()
    touches: frozenset = frozenset()
    patches: frozenset = frozenset()
    imports: frozenset = frozenset()
    problem: str = ""


def effects(source):
    """The Effects of a cell's source, magics included. Raises nothing for what a student may write."""
    try:
        tree = parsed(source)
        code = compile(tree, "<cell>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        where = f" in line {error.lineno} of the cell" if isinstance(error, SyntaxError) and error.lineno else ""
        words = error.msg if isinstance(error, SyntaxError) else str(error) or type(error).__name__
        return Effects(problem=f"is no Python: {words}{where}")
    stored, loaded = _names(code)
    stored, checked = stored | _from_stars(tree), _checked(tree)
    imported, others = set(), set()
    for statement in tree.body:
        (imported if isinstance(statement, IMPORTS) else others).update(_plainly_bound(statement))
    plain = imported | others
    patches, called = _touched(tree)
    binds, plain, reads = (frozenset(names - checked) for names in (stored | plain, plain, loaded - SHELL))
    return Effects(binds, plain, reads, frozenset(patches | called) - SHELL, frozenset(patches),
                   frozenset(imported - others))


def parsed(source):
    """The syntax tree of a cell's Python, its magics as IPython reads them. Raises as ast.parse does."""
    return ast.parse(TransformerManager().transform_cell(python_of(source)))


def python_of(source):
    """A cell without the magic above it; nothing where the cell is no Python, or nothing of it stays (%%timeit)."""
    match = CELL_MAGIC.match(source)
    if not match:
        return source
    if match[1] not in OF_PYTHON:
        return ""
    return "\n" * match[0].count("\n") + python_of(source[match.end():])


def needed(cells, at, more=(), first=0, without=lambda i: False):
    """The numbers of the cells that cell `at` needs, itself included, in the order in which they must run.

    cells: [Effects], the student's from `first` on, before them the chapter's own; more: cells that run in any case;
    without(i): is cell i not there? A name is looked for above the cell that reads it; then below the answer, where
    the first that defines it counts; and then among the chapter's own cells.
    """
    roots = {at, *more}
    while True:
        chosen, wanted = _above(cells, range(first, max(roots) + 1), roots, set(), without)
        below = {name: next((i for i in range(at + 1, len(cells)) if name in cells[i].binds and not without(i)), None)
                 for name in wanted}
        new = {i for i in below.values() if i is not None} - roots
        if not new:
            break
        roots |= new
    missing = {name for name, i in below.items() if i is None and not hasattr(builtins, name)}
    return sorted(chosen + _above(cells, range(first), set(), missing, without)[0])


def _above(cells, numbers, roots, wanted, without):
    """The roots, with the cells above them that define or change what is wanted; and the names that nobody defines."""
    chosen = []
    for i in reversed(numbers):
        if i in roots or not without(i) and wanted & (cells[i].binds | cells[i].touches):
            chosen.append(i)
            wanted = wanted - cells[i].plain | cells[i].reads
    return chosen, wanted


def _names(code):
    """The names that a module's code stores, and those that it loads before it has stored them."""
    stored, loaded, late = set(), set(), set()
    for step in dis.get_instructions(code):
        if step.opname in ("STORE_NAME", "STORE_GLOBAL"):
            stored.add(step.argval)
        elif step.opname in ("LOAD_NAME", "LOAD_GLOBAL") and step.argval not in stored:
            loaded.add(step.argval)
        elif isinstance(step.argval, types.CodeType):
            inner_stored, inner = _names(step.argval)
            function = step.argval.co_flags & inspect.CO_OPTIMIZED
            stored |= inner_stored if function else set()  # those of `global`; a class keeps its own
            if function and step.argval.co_name not in NOW:
                late |= inner
            else:
                loaded |= inner - stored
    return stored, loaded | late - stored


def _plainly_bound(statement):
    if isinstance(statement, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
        return {statement.name}
    if isinstance(statement, IMPORTS):
        return {(a.asname or a.name).split(".")[0] for a in statement.names}
    if isinstance(statement, ast.Assign) or isinstance(statement, ast.AnnAssign) and statement.value:
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        return {n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store)}
    return set()


def _checked(tree):
    """Names that the cell gives only to their own check: `name = answer("chNN.name", name)` changes nothing here."""
    checks, others = set(), set()
    for statement in tree.body:
        call = getattr(statement, "value", None)
        check = (isinstance(statement, ast.Assign) and isinstance(call, ast.Call) and len(call.args) == 2
                 and getattr(call.func, "id", "") in ("answer", "check")
                 and {getattr(call.args[1], "id", "")} == _plainly_bound(statement))
        (checks if check else others).update(_plainly_bound(statement))
    return checks - others


def _from_stars(tree):
    """What `from module import *` brings, as far as the module is loaded here."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.names[0].name == "*":
            module = sys.modules.get(node.module or "")
            names |= set(getattr(module, "__all__", ())) or {n for n in dir(module) if not n.startswith("_")}
    return names


def _touched(tree):
    """The names into which a cell stores, and those that it hands to a call or calls a method of, for no value."""
    patches, called, queue = set(), set(), list(tree.body)
    while queue:
        node = queue.pop()
        if isinstance(node, (ast.Attribute, ast.Subscript)) and not isinstance(node.ctx, ast.Load):
            patches.add(_root(node))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
            called |= {_root(node.value.func)} if isinstance(node.value.func, ast.Attribute) else set()
            called |= {argument.id for argument in node.value.args if isinstance(argument, ast.Name)}
        if not isinstance(node, BLOCKS):
            queue += ast.iter_child_nodes(node)
    return patches - {""}, called - {""}


def _root(node):
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return getattr(node, "id", "")
