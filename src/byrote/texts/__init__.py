"""byrote.texts"""
