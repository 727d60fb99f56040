"""Whatever answers a photo.

``model`` is the contract that everybody else knows, ``sources/`` is where models come from, ``shelf`` which of them a
deployment offers. ``networks`` builds a run's network, ``engines`` runs it, ``scores`` makes labels of scores (no
torch), ``segmenter`` puts these together. ``samples`` are the first screen's scenes; ``latency`` measures,
``export``, ``report`` and ``files`` are what a reader takes home. May import ``records``, ``models``, ``data``,
``measure``, ``images``, ``labels``.
"""
