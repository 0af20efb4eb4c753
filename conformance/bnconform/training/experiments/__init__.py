"""The published benefits of batch norm, and its limits, as experiments: what was claimed, measured and not shown.

Each experiment is a module with a function ``run(subjects, effort)`` that gives an
:class:`~bnconform.training.experiments.facts.Experiment`; :mod:`~bnconform.training.experiments.all` runs them.
"""
