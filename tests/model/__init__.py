"""The model: random histories of the real protocol against simulated servers, in virtual time."""
