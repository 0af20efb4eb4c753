"""A layer around a file's torch.nn.Module, which may use its own names for the state of torch.nn.BatchNorm."""

import torch

from bnconform_adapters.plain.kernel_file import cannot_tell, wrong_kind
from bnconform_adapters.torch.module_layer import ModuleLayer


class FileModuleLayer(ModuleLayer):
    """A layer around a file's module, which may use torch's operations; `usual` builds the module by its defaults."""

    composed = True

    def __init__(self, file, module, case, device, usual):
        if file.names is None:
            try:
                file.names = own_names(usual(), file.stated("STATE", {}), "the file")
            except LookupError as error:
                cannot_tell(error)
        super().__init__(module, case, device, file.names)

    def call(self, module, x):
        y = module(x)
        if not isinstance(y, torch.Tensor):
            raise wrong_kind(y, "torch.Tensor", "y")
        return y


def own_names(module, stated, where):
    """Find a module's own names of weight, bias, running_mean and running_var; the first two may be missing.

    A name comes from STATE, or from the entry of that name, or from the only entry that ends in it: "bn.weight".
    """
    own, names = [name for name, _ in (*module.named_parameters(), *module.named_buffers())], {}
    listed, known = ", ".join(own) or "nothing", ("weight", "bias", "running_mean", "running_var")
    for name in known:
        if name in stated and stated[name] not in own:
            raise LookupError(f"STATE in {where} has {name} = {stated[name]!r}, but the module has {listed}")
        exact = [stated[name]] if name in stated else [name] if name in own else []
        found = exact or [entry for entry in own if entry.endswith(f".{name}")]
        if len(found) > 1:
            raise LookupError(
                f"{where} has {len(found)} entries that end in {name}: {', '.join(found)}; say which is the batch "
                f"norm's: STATE = {{{name!r}: {found[0]!r}}}"
            )
        if not found and name not in ("weight", "bias"):
            raise LookupError(
                f"{where} has no {name}: its parameters and buffers are {listed}; name it so, or say what it is "
                f"called: STATE = {{{name!r}: ...}}"
            )
        if found:
            names[name] = found[0]
    if unknown := set(stated) - set(known):
        key = sorted(map(str, unknown))[0]
        raise LookupError(f"STATE in {where} has an unknown key {key!r}; known: {', '.join(known)}")
    return names
