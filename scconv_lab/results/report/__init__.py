"""`scconv-lab results --report FOLDER`: one page without a network, its figures and its tables."""
