"""streampca beside its peers: speed, accuracy, and where time goes. `make peers` runs all of it."""
