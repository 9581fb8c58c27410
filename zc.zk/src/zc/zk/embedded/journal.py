"""stub"""


class Journal:
    """stub"""
