"""byrote.audit"""
