"""The command `scconv-lab init`: copies the configurations and experiments of the package, to be edited."""
