"""Tables of results from elsewhere: ``grid`` decodes, ``exports`` tells which kind a file is (a module each), ``names`` what
a column is, ``sheet`` reads rows, ``table`` checks and writes, ``removal`` takes back, ``problems`` collects what is wrong.
"""
