"""Stoker and its peers on the same model and machine, round by round."""
