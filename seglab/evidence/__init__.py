"""From records to tidy tables and plain sentences; no torch, no drawing.

``curves`` (ranking, pairs, bands), ``classes``, ``images`` (intervals over images), ``consumers``, ``pointing``,
``robustness``, ``words`` (how figures are told); ``runs/`` is what the Runs page tells of records. May import
``records``, ``predict``, ``data``, ``measure``, ``labels``.
"""
