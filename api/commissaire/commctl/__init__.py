"""commctl: the command line client for people; programs use REST."""
