"""The command line: `plastic run`, `resume`, `evaluate`, `plugins`."""
