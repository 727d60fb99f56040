"""Results from a user's own file: read and checked (`sheet`), turned into records (`table`), taken out again (`removal`)."""
