"""Verbs: each file is a command, ``python -m trainers.NAME --help``, and produces something that the dashboard shows.

``train`` (one recipe), ``ablate`` (a grid of them), ``search`` (hyper-parameters), ``evaluate``, ``explain`` (mean
Grad-CAM), ``robustness`` (corruptions), ``import_results`` and ``export_results`` (tables, trackers). ``training/``
is what a training run is made of; ``recipes/`` has one experiment a file. May import all of seglab but ``ui`` and
``api``.
"""
