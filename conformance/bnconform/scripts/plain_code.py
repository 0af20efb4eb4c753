"""Plain code for scripts: the definitions that a script copies from the modules of calls and their helpers."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from symtable import SymbolTable, symtable

from bnconform_adapters import plain


class Parts:
    """Top-level statements of some modules, and of the plain code that they import.

    Parameters
    ----------
    modules : iterable of str
        Modules; later ones override definitions of earlier ones.
    constants : mapping of str to str
        Other values, as Python text, for names that the modules define at top level.
    simpler : iterable of str
        Modules whose functions replace existing ones of the same name.
    """

    def __init__(
        self,
        modules: Iterable[str],
        constants: Mapping[str, str] | None = None,
        simpler: Iterable[str] = (),
    ) -> None:
        self._imports: dict[str, str] = {}
        self._statements: dict[str, str] = {}
        self._needs: dict[str, set[str]] = {}
        self._taken: set[str] = set()
        self._constants = constants or {}
        for module in modules:
            self._take(module)
        for module in simpler:
            for node in ast.parse(source := plain.text(module)).body:
                if isinstance(node, ast.FunctionDef) and self.defines(node.name):
                    self._define(node.name, ast.get_source_segment(source, node) or "")

    def _take(self, module: str) -> None:
        if module in self._taken:
            return
        self._taken.add(module)
        source = plain.text(module)
        lines = source.splitlines()
        for node in ast.parse(source).body:
            first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", []))])
            text = "\n".join(lines[first - 1 : node.end_lineno]).replace("  # noqa: N802", "")
            if isinstance(node, ast.ImportFrom) and (neighbour := plain.module_of(node.module or "")):
                self._take(neighbour)
            elif isinstance(node, ast.Import | ast.ImportFrom):
                for alias in node.names:
                    renamed = f" as {alias.asname}" if alias.asname else ""
                    start = f"from {node.module} import " if isinstance(node, ast.ImportFrom) else "import "
                    name = alias.asname or alias.name.partition(".")[0]
                    self._imports[name] = f"{start}{alias.name}{renamed}"
            elif isinstance(node, ast.FunctionDef | ast.ClassDef):
                self._define(node.name, text)
            elif isinstance(node, ast.Assign):
                self._assign(node)

    def _assign(self, node: ast.Assign) -> None:
        target = node.targets[0]
        targets = target.elts if isinstance(target, ast.Tuple) else [target]
        values = (
            node.value.elts if isinstance(target, ast.Tuple) and isinstance(node.value, ast.Tuple) else [node.value]
        )
        for one, value in zip(targets, values, strict=True):
            name = ast.unparse(one)
            self._define(name, f"{name} = {self._constants.get(name, ast.unparse(value))}")

    def _define(self, name: str, text: str) -> None:
        self._statements.pop(name, None)
        self._statements[name] = text
        self._needs[name] = set(_globals(symtable(text, name, "exec")))

    def defines(self, name: str) -> bool:
        """Return True if a definition of this name exists."""
        return name in self._statements

    def text(self, code: str) -> tuple[list[str], list[str]]:
        """Return the import lines and definitions that `code` needs, in order."""
        wanted, found = set(_globals(symtable(code, "script", "exec"))), set[str]()
        while wanted - found:
            name = (wanted - found).pop()
            found.add(name)
            wanted |= self._needs.get(name, set())
        imports = sorted({line for name, line in self._imports.items() if name in found})
        return imports, [text for name, text in self._statements.items() if name in found]


def _globals(table: SymbolTable) -> Iterator[str]:
    """Yield the global names that a text uses, also inside functions."""
    for symbol in table.get_symbols():
        if symbol.is_referenced() and (symbol.is_global() or table.get_type() == "module"):
            yield symbol.get_name()
    for inner in table.get_children():
        yield from _globals(inner)
