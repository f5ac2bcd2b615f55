"""Everything that is trained, a folder for each objective."""
