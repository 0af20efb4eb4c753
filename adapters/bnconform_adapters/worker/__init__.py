"""A process of its own for an implementation: it may crash, hang or exit, and the run goes on.

A fault container, not a security sandbox. What runs in the worker has its user's files, network and devices; it is kept
from ending or spoiling the suite's process by mistake, not by intent. The oracle is not in the worker: looking through
frames, modules or memory there shows a kernel its own inputs and nothing of what is expected.

Three processes take part. The *client* (:mod:`.client`, in the suite's process) sends cases and gets outcomes. The
*forkserver* (:mod:`.forkserver`) has NumPy imported and never runs foreign code. It forks a *worker* (:mod:`.serve`)
in milliseconds when one is needed, and reports how the last one ended. The worker loads the implementation and calls
it. POSIX only.
"""
