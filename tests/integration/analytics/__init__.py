"""Every figure of every report, against plain calculations over the same rows."""
