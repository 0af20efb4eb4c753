"""Run an implementation in a separate process: if it crashes, hangs or exits, the run continues.

The worker contains faults; it is no security sandbox. An implementation there can use its user's files, network and
devices. It cannot end or damage the suite's process by accident, but it could on purpose. The oracle does not run in
the worker: a kernel that searches frames, modules or memory finds its own inputs and no expected values.

Three processes take part. The *client* (:mod:`.client`, in the suite's process) sends cases and gets outcomes. The
*forkserver* (:mod:`.forkserver`) has imported NumPy and never runs foreign code. It forks a *worker* (:mod:`.serve`)
in milliseconds and reports how the last one ended. The worker loads the implementation and calls it. POSIX only.
"""
