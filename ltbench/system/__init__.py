"""What ltbench asks of the machine: files that appear whole, leases on shared folders, signals, memory, environment variables.

What enters knows nothing of methods, data or records. Imports nothing of ltbench but ``ltbench.version`` and ``ltbench.errors``.
"""
