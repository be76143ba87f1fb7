"""byrote.cli"""
