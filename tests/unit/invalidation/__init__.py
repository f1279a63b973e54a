"""Events, and the tags that they touch."""
