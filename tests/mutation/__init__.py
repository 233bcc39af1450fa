"""`make mutation`: the deciding code is broken in one place after the other; each time a unit test has to notice."""
