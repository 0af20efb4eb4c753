"""Experiments on the published benefits of batch norm and on its limits.

Each experiment is a module with a function ``run(subjects, effort)`` that gives an
:class:`~bnconform.training.experiments.facts.Experiment`; :mod:`~bnconform.training.experiments.all` runs them.
"""
