"""Requests to other computers: HTTP with absolute deadlines, trust and proxies, DNS, and account pictures.

Redirects, cookies and connection pools are off. `protocol` decides what a response means.
"""
