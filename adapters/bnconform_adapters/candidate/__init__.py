"""Other people's kernels: a Python file that offers batch norm, and need not import this project.

It comes as functions (:mod:`~bnconform_adapters.candidate.functions`), as a class that stands in for
torch.nn.BatchNorm (:mod:`~bnconform_adapters.candidate.module`), or as a task of KernelBench
(:mod:`~bnconform_adapters.candidate.kernelbench`). Names in the file that say more:

``CLAIMS``
    A dict of what differs from the default claims.
``ARRAYS``
    "numpy", "torch" or "jax": what the functions take and return; "numpy" unless stated.
``DEVICE``
    Where the calls run: a torch device such as "cuda", or a JAX platform such as "gpu"; "cpu" unless stated, and for
    KernelBench's form "cuda" where there is one.
``STATE``
    A dict from weight, bias, running_mean and running_var to a module's own names of them.
"""

from bnconform_adapters.candidate.adapter import Candidate
from bnconform_adapters.candidate.load import load_candidate

__all__ = ["Candidate", "load_candidate"]
