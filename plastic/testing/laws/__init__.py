"""The common law, an article a file: what must be true of every plugin, whoever wrote it."""
