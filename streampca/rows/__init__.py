"""Anything that holds rows becomes one checked matrix: arrays, frames, tensors, lists.

The judges live here, one function each: is it a number (`numbers.number`), can this entry be used
(`entries.check_entries`), is this column a feature (`frames`). Nothing below knows what rows are
used for, and nothing above checks them again.
"""
