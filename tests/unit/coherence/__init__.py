"""Tests of the protocol, without any server."""
