"""Many runs of one question: launched, gone on with, and told apart."""
