"""Which recipe wins at which epoch? ``choices`` (what is compared), ``sections`` (charts, tables, sentence)."""
