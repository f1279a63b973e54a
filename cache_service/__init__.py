"""The cache service: reads of a booking platform, never older than the last acknowledged change."""
