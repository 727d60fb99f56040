"""Tables of results from elsewhere: ``sheet`` reads, ``table`` checks and writes, ``removal`` takes back,
``problems`` collects what is wrong.
"""
