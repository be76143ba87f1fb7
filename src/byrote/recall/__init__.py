"""byrote.recall"""
