"""Translates between the request formats of language-model APIs.

Chat Completions and Responses are OpenAI's, Messages is Anthropic's. Everything here is pure, or an object to
be fed: no input or output, no clock, no randomness. Ids are derived from the ids of the source.
`translate` is the way in.
"""
