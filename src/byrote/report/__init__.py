"""byrote.report"""
