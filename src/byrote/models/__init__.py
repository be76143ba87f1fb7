"""byrote.models"""
