"""Facts in ``results/``: the only reader and writer. No torch.

``files`` (whole or not at all), ``fields`` (odd records), ``runs`` (one run's record), ``writer``, ``store`` (all of
them), ``index`` and ``parts`` (their columnar index), ``lock``; what else a record can hold: ``cams`` (mean maps),
``robustness``; ``studies`` (searches); ``imports/`` (tables from elsewhere). May import ``labels`` and ``data``
(names of corruptions).
"""
