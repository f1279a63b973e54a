"""`python -m devstack.demo`: a tour of the running system."""
