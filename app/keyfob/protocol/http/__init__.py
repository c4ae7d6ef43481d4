"""What all protocols need of HTTP: checked URLs, strict reading of responses, redaction, and paths into JSON.

No knowledge of any grant or flow belongs here.
"""
