"""Experiments as data: a YAML file says what is compared, and one report says what was found."""
