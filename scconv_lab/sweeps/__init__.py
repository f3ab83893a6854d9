"""Launches, resumes and compares the runs of a sweep."""
