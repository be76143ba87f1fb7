"""byrote.runs"""
