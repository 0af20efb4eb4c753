"""Batch norm at work: small networks, trained on real data with any implementation's layer inside.

The network is written once, in float64 NumPy; only the layer differs. What must hold of it is in
:mod:`bnconform.running.all_laws.test_training`.
"""
