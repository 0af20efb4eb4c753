"""Batch norm at work: small networks, trained on real data with any implementation's layer inside.

The network is written once, in float64 NumPy; only the layer differs. The laws on it are in
:mod:`bnconform.laws.test_training`.
"""
