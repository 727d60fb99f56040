"""From tidy tables to Plotly figures (``heat``: to pixels), one file a page. May import ``evidence``, ``records``,
``measure``, ``labels``.
"""
