"""What ``ltbench plugin new`` writes: templates of small, complete distributions."""
