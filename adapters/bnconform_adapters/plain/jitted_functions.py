"""A file's functions on JAX arrays under jax.jit, if they allow it."""

import ast
import inspect
from functools import cache
from types import ModuleType, SimpleNamespace

import jax
import jax.numpy as jnp

from bnconform_adapters.plain.called_functions import functions

NAMES = ("forward_training", "forward_inference", "backward", "backward_inference", "double_backward", "jvp")

STATELESS = ("jax", "math", "functools", "typing", "__future__")
"""Modules that a file without state may import; NumPy's arrays can be changed."""
MUTATORS = ("append", "extend", "insert", "update", "setdefault", "add", "pop", "clear", "remove")
"""Methods that change an object."""
REACHING = ("globals", "vars", "setattr", "exec", "eval", "cache", "lru_cache", "__dict__", "__defaults__")
"""Names by which a function reaches objects that live on."""


@cache
def kernel_of(file):
    """Return the file's functions, under jax.jit if they allow it and the file does not state JIT = False."""
    kernel = functions(file)
    if not file.stated("JIT", True) or not isinstance(kernel, ModuleType) or keeps_state(kernel):
        return kernel
    own = {name: getattr(kernel, name) for name in NAMES if callable(getattr(kernel, name, None))}
    try:
        same = all(map(alike, trial(kernel), trial(SimpleNamespace(**{name: jax.jit(f) for name, f in own.items()}))))
    except Exception:  # they look at values while they are traced
        same = False
    return SimpleNamespace(**vars(kernel) | {name: compiled(f) for name, f in own.items()}) if same else kernel


def compiled(function):
    """Return a function under jax.jit; a call that raises is made again without it."""
    traced = jax.jit(function)

    def call(*arguments, **keywords):
        try:
            return traced(*arguments, **keywords)
        except Exception:
            return function(*arguments, **keywords)

    return call


def keeps_state(module):
    """Return True if a module may keep state between calls, which jax.jit would hide."""
    try:
        tree = ast.parse(inspect.getsource(module))
    except (OSError, TypeError, SyntaxError):
        return True
    plain = (ast.FunctionDef, ast.Import, ast.ImportFrom, ast.Expr, ast.Assign, ast.AnnAssign)
    for node in tree.body:
        if not isinstance(node, plain) or (isinstance(node, (ast.Assign, ast.AnnAssign)) and not constant(node)):
            return True
    imported = [name for node in ast.walk(tree) for name in modules_of(node)]
    return any(map(changes, ast.walk(tree))) or any(name not in STATELESS for name in imported)


def constant(assignment):
    """Return True for an assignment of a number, a text, a tuple of them, or a name that the suite reads."""
    targets = assignment.targets if isinstance(assignment, ast.Assign) else [assignment.target]
    names = {one.id for one in targets if isinstance(one, ast.Name)}
    fixed = (ast.Constant, ast.Tuple, ast.UnaryOp, ast.BinOp, ast.Load, ast.operator, ast.unaryop, ast.Name)
    value = assignment.value or ast.Constant(None)
    return names == {"CLAIMS"} or all(isinstance(one, fixed) for one in ast.walk(value))


def modules_of(node):
    """Return the top-level names of the modules that a statement imports."""
    if isinstance(node, ast.ImportFrom):
        return [(node.module or "").partition(".")[0]]
    return [one.name.partition(".")[0] for one in node.names] if isinstance(node, ast.Import) else []


def changes(node):
    """Return True for a statement or a call that may change an object, or that may keep one."""
    if isinstance(node, (ast.Global, ast.Nonlocal, ast.Delete, ast.ClassDef)):
        return True
    if isinstance(node, (ast.Attribute, ast.Subscript)):
        return isinstance(node.ctx, ast.Store) or getattr(node, "attr", "") in REACHING
    if isinstance(node, ast.arguments):
        return not all(isinstance(one, (ast.Constant, type(None))) for one in (*node.defaults, *node.kw_defaults))
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return node.func.attr in MUTATORS and not isinstance(node.func.value, ast.Subscript)  # x.at[...].add is pure
    return isinstance(node, ast.Name) and node.id in REACHING


def trial(kernel):
    """Call the functions with a small x; return everything that they return, as a list of arrays."""
    x, dy = jnp.arange(12.0).reshape(4, 3) % 5, jnp.arange(12.0).reshape(4, 3) % 7
    weight, bias, mean, var = jnp.array([1.5, -2.0, 0.5]), jnp.array([1.0, 2.0, 3.0]), jnp.arange(3.0), jnp.full(3, 2.0)
    found = []
    if hasattr(kernel, "forward_training"):
        found.append(kernel.forward_training(x, weight, bias, mean, var, momentum=0.25, eps=0.125))
        if hasattr(kernel, "backward"):
            found.append(kernel.backward(dy, found[0][3]))
        if hasattr(kernel, "double_backward"):
            found.append(kernel.double_backward(x, weight, bias, dy, found[0][3]))
        if hasattr(kernel, "jvp"):
            found.append(kernel.jvp(x, weight, bias, dy, bias, weight, eps=0.125))
    if hasattr(kernel, "forward_inference"):
        found.append(kernel.forward_inference(x, weight, bias, mean, var, eps=0.125))
        if hasattr(kernel, "backward_inference"):
            found.append(kernel.backward_inference(dy, x, weight, mean, var, eps=0.125))
    return jax.tree.leaves(found)


def alike(first, second):
    """Return True if two arrays have one dtype and shape."""
    return (first.dtype, first.shape) == (second.dtype, second.shape)
