"""What is told of runs' records: ``table`` (list, filter, CSV), ``diff`` (one record, two side by side), ``figures``
(published beside ours), ``models_table`` (the table of bundled models in docs/models.md).
"""
