"""The command `scconv-lab completion`: what a shell offers after a press of TAB."""
