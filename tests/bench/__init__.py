"""`make bench`: promises about speed, each a ratio of two things done in turn in one run: met or missed."""
