"""From an operation to a finished playbook: the job, its supervisor process, and the journal of what happened."""
