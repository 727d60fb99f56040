"""What results say, and how sure that is: over seeds (`curves`, `classes`), over images (`images`), for users (`consumers`)."""
