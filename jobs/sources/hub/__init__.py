"""Datasets of the Hugging Face hub: files of a repository at a commit.

names       which dataset a location means, if any
splits      slices of splits as ranges of rows
repository  a dataset at a commit, and the files in it
cards       where its card says that its files lie
configs     its configurations, and which files a split has
converted   the same, of what the hub has converted to Parquet
reading     opens a file, through the hub's cache or by ranges
"""
