"""The built-in plugins: one method a file."""
