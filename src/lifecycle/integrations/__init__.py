"""Servers, frameworks and tools as components; each module needs the extra of its name."""
