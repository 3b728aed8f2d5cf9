"""Helpers that several kinds of tests share: servers, comparisons of answers, programs of the machine."""
