"""What was run, on what, and what does it cost? One file a tab: ``listing`` and ``record``, ``frontier``,
``searches``, ``published``, ``import_export``.
"""
