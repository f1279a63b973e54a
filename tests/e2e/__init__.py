"""The running system, seen from outside: grpcurl, the README, signals and kills, the tour."""
