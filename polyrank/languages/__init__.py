"""Language tags, scripts, related languages, and identification."""
