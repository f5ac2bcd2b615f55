"""What runs a language model: in this process, or behind an OpenAI-compatible server."""
