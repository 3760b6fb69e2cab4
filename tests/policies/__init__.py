"""The policies of models: each by itself, and together."""
