"""Curves, and what is made of many runs."""
